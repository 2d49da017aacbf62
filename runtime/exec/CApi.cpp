//===- CApi.cpp - The C API of the runtime --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Session.h"
#include "moe/moe.h"
#include "runtime/support/TensorView.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <type_traits>

using namespace moe;

static_assert(MOE_MAX_RANK == kMaxRank);
static_assert(MOE_BOOL == static_cast<int>(DType::Bool));
static_assert(MOE_OUT_OF_MEMORY == static_cast<int>(StatusCode::OutOfMemory));
static_assert(MOE_TERMINATED == static_cast<int>(StatusCode::Terminated));

struct moe_model {
  std::shared_ptr<Model> model;
};

struct moe_context {
  std::unique_ptr<Context> context;
  std::vector<Input> inputs;
  std::span<const Output> outputs;
};

static thread_local std::string lastError;

static moe_status fail(const Status &status) {
  lastError = status.message();
  return static_cast<moe_status>(status.code());
}

static moe_status fail(StatusCode code, const char *message) {
  return fail(Status(code, message));
}

/// The runtime throws nothing itself; memory for small things may run out.
template <typename Body> static moe_status guardedCall(Body body) {
  try {
    return body();
  } catch (const std::exception &error) {
    return fail(StatusCode::OutOfMemory, error.what());
  }
}

const char *moe_last_error(void) { return lastError.c_str(); }

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

moe_status moe_model_load(const char *path, const moe_load_options *options,
                          moe_model **model) {
  return guardedCall([&] {
    if (!path || !model)
      return fail(StatusCode::Usage, "moe_model_load needs a path and a place "
                                     "for the model");
    LoadOptions loadOptions;
    if (options && options->lazy_verification)
      loadOptions.verification = WeightVerification::Lazy;
    if (options)
      loadOptions.weightMemoryLimit = options->weight_memory_limit;
    StatusOr<std::shared_ptr<Model>> loaded = Model::load(path, loadOptions);
    if (!loaded.isOk())
      return fail(loaded.status());
    *model = new moe_model{*std::move(loaded)};
    return MOE_OK;
  });
}

void moe_model_release(moe_model *model) { delete model; }

int moe_model_num_ranks(const moe_model *model) {
  return model->model->numRanks();
}
size_t moe_model_num_inputs(const moe_model *model) {
  return model->model->inputs().size();
}
size_t moe_model_num_outputs(const moe_model *model) {
  return model->model->outputs().size();
}

static const PortInfo *portAt(std::span<const PortInfo> ports, size_t index) {
  return index < ports.size() ? &ports[index] : nullptr;
}

const char *moe_model_input_name(const moe_model *model, size_t index) {
  const PortInfo *port = portAt(model->model->inputs(), index);
  return port ? port->name.c_str() : nullptr;
}
const char *moe_model_output_name(const moe_model *model, size_t index) {
  const PortInfo *port = portAt(model->model->outputs(), index);
  return port ? port->name.c_str() : nullptr;
}
moe_dtype moe_model_input_dtype(const moe_model *model, size_t index) {
  const PortInfo *port = portAt(model->model->inputs(), index);
  return port ? static_cast<moe_dtype>(port->dtype) : MOE_F32;
}
size_t moe_model_input_rank(const moe_model *model, size_t index) {
  const PortInfo *port = portAt(model->model->inputs(), index);
  return port ? port->dims.size() : 0;
}
const char *moe_model_input_dim(const moe_model *model, size_t index,
                                size_t axis) {
  const PortInfo *port = portAt(model->model->inputs(), index);
  return port && axis < port->dims.size() ? port->dims[axis].c_str() : nullptr;
}

static std::map<std::string, int64_t> byName(const moe_symbol *symbols,
                                             size_t count) {
  std::map<std::string, int64_t> named;
  for (size_t i = 0; i < count; ++i)
    named[symbols[i].name ? symbols[i].name : ""] = symbols[i].value;
  return named;
}

moe_status moe_model_input_shape(const moe_model *model, size_t index,
                                 const moe_symbol *symbols, size_t num_symbols,
                                 int64_t *dims) {
  return guardedCall([&] {
    const PortInfo *port = portAt(model->model->inputs(), index);
    if (!port)
      return fail(StatusCode::Usage, "there is no such input");
    StatusOr<std::vector<int64_t>> shape =
        model->model->shapeOf(*port, byName(symbols, num_symbols));
    if (!shape.isOk())
      return fail(shape.status());
    std::copy(shape->begin(), shape->end(), dims);
    return MOE_OK;
  });
}

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

moe_status moe_context_create(moe_model *model,
                              const moe_context_options *options,
                              moe_context **context) {
  return guardedCall([&] {
    if (!model || !context)
      return fail(StatusCode::Usage, "moe_context_create needs a model and a "
                                     "place for the context");
    ContextOptions contextOptions;
    if (options) {
      contextOptions.numThreads = options->num_threads;
      contextOptions.memoryLimit = options->memory_limit;
      if (options->timeout_ms > 0)
        contextOptions.timeout = std::chrono::milliseconds(options->timeout_ms);
    }
    StatusOr<std::unique_ptr<Context>> created =
        Context::create(model->model, contextOptions);
    if (!created.isOk())
      return fail(created.status());
    *context = new moe_context{*std::move(created), {}, {}};
    return MOE_OK;
  });
}

void moe_context_release(moe_context *context) { delete context; }

moe_status moe_context_prepare(moe_context *context, const moe_symbol *maxima,
                               size_t num_maxima) {
  return guardedCall([&] {
    std::map<std::string, int64_t> named = byName(maxima, num_maxima);
    Status status = context->context->prepare(named);
    return status.isOk() ? MOE_OK : fail(status);
  });
}

moe_status moe_context_initialize(moe_context *context) {
  return guardedCall([&] {
    Status status = context->context->initialize();
    return status.isOk() ? MOE_OK : fail(status);
  });
}

moe_status moe_context_run(moe_context *context, const moe_tensor *inputs,
                           size_t num_inputs, unsigned flags) {
  return guardedCall([&] {
    if (flags & ~unsigned(MOE_KEEP_STATE | MOE_PRESENT_STATES))
      return fail(StatusCode::Usage, "unknown flags of moe_context_run");
    context->inputs.clear();
    for (size_t i = 0; i < num_inputs; ++i) {
      const moe_tensor &tensor = inputs[i];
      // Callers in C may have stored what is no value of the type.
      std::underlying_type_t<moe_dtype> dtype;
      std::memcpy(&dtype, &tensor.dtype, sizeof(dtype));
      bool isValid = tensor.name && tensor.rank <= MOE_MAX_RANK &&
                     static_cast<unsigned>(dtype) < kNumDTypes;
      if (!isValid)
        return fail(StatusCode::Usage, "an input has no name, or its rank or "
                                       "element type does not exist");
      Input input{tensor.name,
                  static_cast<DType>(dtype),
                  {tensor.dims, tensor.rank},
                  tensor.data};
      context->inputs.push_back(input);
    }
    RunOptions options;
    options.keepState = flags & MOE_KEEP_STATE;
    options.presentStates = flags & MOE_PRESENT_STATES;
    context->outputs = {};
    StatusOr<std::span<const Output>> outputs =
        context->context->run(context->inputs, options);
    if (!outputs.isOk())
      return fail(outputs.status());
    context->outputs = *outputs;
    return MOE_OK;
  });
}

size_t moe_context_num_outputs(const moe_context *context) {
  return context->outputs.size();
}

moe_status moe_context_output(const moe_context *context, size_t index,
                              moe_tensor *tensor) {
  return guardedCall([&] {
    if (index >= context->outputs.size() || !tensor)
      return fail(StatusCode::Usage, "there is no such output");
    const Output &output = context->outputs[index];
    // Names of ports end with a zero, for they are strings of the plan.
    tensor->name = output.name.data();
    tensor->dtype = static_cast<moe_dtype>(output.dtype);
    tensor->rank = output.dims.size();
    std::copy(output.dims.begin(), output.dims.end(), tensor->dims);
    tensor->data = output.data;
    tensor->bytes = output.bytes;
    return MOE_OK;
  });
}

moe_status moe_context_output_by_name(const moe_context *context,
                                      const char *name, moe_tensor *tensor) {
  for (size_t i = 0; name && i < context->outputs.size(); ++i)
    if (context->outputs[i].name == name)
      return moe_context_output(context, i, tensor);
  return guardedCall(
      [&] { return fail(StatusCode::Usage, "there is no such output"); });
}

void moe_context_cancel(moe_context *context) { context->context->cancel(); }

int64_t moe_context_state_length(const moe_context *context) {
  return context->context->stateLength();
}
void moe_context_reset_state(moe_context *context) {
  context->context->resetState();
}
