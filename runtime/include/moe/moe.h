/*===- moe.h - The C API of the runtime ---------------------------*- C -*-===*\
|*                                                                            *|
|* Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.   *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

/*
 * Loads a plan and runs it; see moe/Session.h for what the words mean.
 *
 *   moe_model *model;
 *   moe_context *context;
 *   if (moe_model_load("model.moeplan", NULL, &model) != MOE_OK ||
 *       moe_context_create(model, NULL, &context) != MOE_OK)
 *     fprintf(stderr, "%s\n", moe_last_error());
 *
 * Every function that returns moe_status leaves a message in moe_last_error()
 * of the calling thread when it fails, and writes nothing to its results.
 */

#ifndef MOE_H
#define MOE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_C_API __attribute__((visibility("default")))

/* Largest number of dimensions of a tensor. */
#define MOE_MAX_RANK 8

/* The exit codes of the tools. */
typedef enum moe_status {
  MOE_OK = 0,
  MOE_OTHER = 1,
  MOE_USAGE = 2,
  MOE_BAD_MODEL = 3,
  MOE_UNSUPPORTED = 4,
  MOE_RESULTS_DIFFER = 5,
  MOE_BAD_PLAN = 6,
  MOE_IO_ERROR = 7,
  MOE_RANK_FAILED = 8,
  MOE_TIMEOUT = 9,
  MOE_OUT_OF_MEMORY = 10,
  MOE_INTERNAL = 70,
  MOE_INTERRUPTED = 130,
  MOE_TERMINATED = 143
} moe_status;

typedef enum moe_dtype {
  MOE_F32 = 0,
  MOE_F64 = 1,
  MOE_F16 = 2,
  MOE_BF16 = 3,
  MOE_I8 = 4,
  MOE_I16 = 5,
  MOE_I32 = 6,
  MOE_I64 = 7,
  MOE_U8 = 8,
  MOE_U16 = 9,
  MOE_U32 = 10,
  MOE_U64 = 11,
  MOE_BOOL = 12
} moe_dtype;

typedef struct moe_model moe_model;
typedef struct moe_context moe_context;

/* A row-major tensor in somebody's memory. */
typedef struct moe_tensor {
  const char *name;
  moe_dtype dtype;
  size_t rank;
  int64_t dims[MOE_MAX_RANK];
  const void *data;
  size_t bytes;
} moe_tensor;

/* A value or an upper bound of a symbol in the shapes of inputs. */
typedef struct moe_symbol {
  const char *name;
  int64_t value;
} moe_symbol;

/* Set all members to 0 for the defaults. */
typedef struct moe_load_options {
  /* Do not compare weights with their checksums. */
  int lazy_verification;
  /* Bytes of memory for weights that are not mapped; 0: what files hold. */
  uint64_t weight_memory_limit;
} moe_load_options;

typedef struct moe_context_options {
  /* Over all ranks; 0: one for each core that the process may use. */
  int num_threads;
  /* How long a rank waits for others; 0: 30 seconds. */
  int64_t timeout_ms;
  /* Bytes that the context may reserve; 0: the machine's memory. */
  uint64_t memory_limit;
} moe_context_options;

/* Flags of moe_context_run. */
enum {
  /* Caches continue from the last run; past inputs are left out. */
  MOE_KEEP_STATE = 1,
  /* Also return the present tensors of caches. */
  MOE_PRESENT_STATES = 2
};

/* The message of the last error in this thread; valid until the next one. */
MOE_C_API const char *moe_last_error(void);

/* Options may be NULL. */
MOE_C_API moe_status moe_model_load(const char *path,
                                    const moe_load_options *options,
                                    moe_model **model);
/* Contexts of the model stay usable. NULL is allowed. */
MOE_C_API void moe_model_release(moe_model *model);
MOE_C_API int moe_model_num_ranks(const moe_model *model);
MOE_C_API size_t moe_model_num_inputs(const moe_model *model);
MOE_C_API size_t moe_model_num_outputs(const moe_model *model);
/* NULL if there is no such input or output. */
MOE_C_API const char *moe_model_input_name(const moe_model *model,
                                           size_t index);
MOE_C_API const char *moe_model_output_name(const moe_model *model,
                                            size_t index);
/* Element type and number of dimensions of an input; the text of dimension
   `axis` ("batch", "past + seq", "128") or NULL. */
MOE_C_API moe_dtype moe_model_input_dtype(const moe_model *model, size_t index);
MOE_C_API size_t moe_model_input_rank(const moe_model *model, size_t index);
MOE_C_API const char *moe_model_input_dim(const moe_model *model, size_t index,
                                          size_t axis);
/* The dimensions of an input for values of the symbols; `dims` has room for
   moe_model_input_rank numbers. */
MOE_C_API moe_status moe_model_input_shape(const moe_model *model, size_t index,
                                           const moe_symbol *symbols,
                                           size_t num_symbols, int64_t *dims);

/* Options may be NULL. */
MOE_C_API moe_status moe_context_create(moe_model *model,
                                        const moe_context_options *options,
                                        moe_context **context);
MOE_C_API void moe_context_release(moe_context *context);
MOE_C_API moe_status moe_context_prepare(moe_context *context,
                                         const moe_symbol *maxima,
                                         size_t num_maxima);
/* Loads the weights; the first run does it otherwise. */
MOE_C_API moe_status moe_context_initialize(moe_context *context);
MOE_C_API moe_status moe_context_run(moe_context *context,
                                     const moe_tensor *inputs,
                                     size_t num_inputs, unsigned flags);
/* Results of the last successful run, valid until the next run. */
MOE_C_API size_t moe_context_num_outputs(const moe_context *context);
MOE_C_API moe_status moe_context_output(const moe_context *context,
                                        size_t index, moe_tensor *output);
MOE_C_API moe_status moe_context_output_by_name(const moe_context *context,
                                                const char *name,
                                                moe_tensor *output);
/* Ends the run in progress, from any thread. */
MOE_C_API void moe_context_cancel(moe_context *context);
MOE_C_API int64_t moe_context_state_length(const moe_context *context);
MOE_C_API void moe_context_reset_state(moe_context *context);

#ifdef __cplusplus
}
#endif

#endif /* MOE_H */
