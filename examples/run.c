/*===- run.c - Runs a plan through the C API ------------------------------===*\
|*                                                                            *|
|* Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.   *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

/*
 *   run-c model.moeplan batch=2 seq=16 past=0
 *
 * Runs the plan once with inputs that are all ones, of the sizes that the
 * symbols say, and prints the outputs' shapes and first elements.
 */

#include <moe/moe.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxSymbols = 16, kMaxInputs = 256 };

static int fail(const char *what, moe_status status) {
  fprintf(stderr, "%s: %s\n", what, moe_last_error());
  return (int)status;
}

/* Reads "name=value" arguments; returns how many, or -1. */
static int read_symbols(int argc, char **argv, moe_symbol *symbols) {
  int count = 0;
  for (int i = 2; i < argc; ++i) {
    char *equals = strchr(argv[i], '=');
    if (!equals || count == kMaxSymbols)
      return -1;
    *equals = '\0';
    symbols[count].name = argv[i];
    symbols[count].value = strtoll(equals + 1, NULL, 10);
    ++count;
  }
  return count;
}

static size_t element_bytes(moe_dtype dtype) {
  switch (dtype) {
  case MOE_F64:
  case MOE_I64:
  case MOE_U64:
    return 8;
  case MOE_F32:
  case MOE_I32:
  case MOE_U32:
    return 4;
  case MOE_F16:
  case MOE_BF16:
  case MOE_I16:
  case MOE_U16:
    return 2;
  default:
    return 1;
  }
}

static void set_one(char *element, moe_dtype dtype) {
  float f = 1;
  double d = 1;
  uint16_t half = 0x3c00, bfloat = 0x3f80;
  switch (dtype) {
  case MOE_F32:
    memcpy(element, &f, sizeof f);
    return;
  case MOE_F64:
    memcpy(element, &d, sizeof d);
    return;
  case MOE_F16:
    memcpy(element, &half, sizeof half);
    return;
  case MOE_BF16:
    memcpy(element, &bfloat, sizeof bfloat);
    return;
  default: /* integers of any size, lowest byte first */
    element[0] = 1;
  }
}

/* An input of ones; its memory is to be freed by the caller. */
static moe_status make_input(const moe_model *model, size_t index,
                             const moe_symbol *symbols, size_t num_symbols,
                             moe_tensor *tensor) {
  tensor->name = moe_model_input_name(model, index);
  tensor->dtype = moe_model_input_dtype(model, index);
  tensor->rank = moe_model_input_rank(model, index);
  moe_status status =
      moe_model_input_shape(model, index, symbols, num_symbols, tensor->dims);
  if (status != MOE_OK)
    return status;
  size_t count = 1, width = element_bytes(tensor->dtype);
  for (size_t i = 0; i < tensor->rank; ++i)
    count *= (size_t)tensor->dims[i];
  char *data = calloc(count + 1, width);
  if (!data)
    return MOE_OUT_OF_MEMORY;
  for (size_t i = 0; i < count; ++i)
    set_one(data + i * width, tensor->dtype);
  tensor->data = data;
  tensor->bytes = count * width;
  return MOE_OK;
}

static void print_tensor(const moe_tensor *tensor) {
  printf("%s [", tensor->name);
  for (size_t i = 0; i < tensor->rank; ++i)
    printf("%s%lld", i ? ", " : "", (long long)tensor->dims[i]);
  printf("]");
  for (size_t i = 0; i < 4 && tensor->dtype == MOE_F32 && 4 * i < tensor->bytes;
       ++i)
    printf(" %g", ((const float *)tensor->data)[i]);
  printf("\n");
}

static int run(moe_model *model, moe_context *context,
               const moe_symbol *symbols, size_t num_symbols) {
  moe_tensor inputs[kMaxInputs];
  size_t num_inputs = moe_model_num_inputs(model), made = 0;
  moe_status status = MOE_OK;
  if (num_inputs > kMaxInputs)
    return MOE_UNSUPPORTED;
  for (; made < num_inputs && status == MOE_OK; ++made) {
    inputs[made].data = NULL;
    status = make_input(model, made, symbols, num_symbols, &inputs[made]);
  }
  if (status == MOE_OK)
    status = moe_context_run(context, inputs, num_inputs, 0);
  for (size_t i = 0; i < made; ++i)
    free((void *)inputs[i].data);
  if (status != MOE_OK)
    return fail("run", status);
  for (size_t i = 0; i < moe_context_num_outputs(context); ++i) {
    moe_tensor output;
    if (moe_context_output(context, i, &output) == MOE_OK)
      print_tensor(&output);
  }
  return 0;
}

int main(int argc, char **argv) {
  moe_symbol symbols[kMaxSymbols];
  int num_symbols = read_symbols(argc, argv, symbols);
  if (argc < 2 || num_symbols < 0) {
    fprintf(stderr, "usage: %s MODEL.moeplan [SYMBOL=VALUE ...]\n", argv[0]);
    return MOE_USAGE;
  }
  moe_model *model;
  moe_status status = moe_model_load(argv[1], NULL, &model);
  if (status != MOE_OK)
    return fail(argv[1], status);
  printf("%d ranks\n", moe_model_num_ranks(model));
  moe_context *context;
  status = moe_context_create(model, NULL, &context);
  int result = status == MOE_OK
                   ? run(model, context, symbols, (size_t)num_symbols)
                   : fail("context", status);
  if (status == MOE_OK)
    moe_context_release(context);
  moe_model_release(model);
  return result;
}
