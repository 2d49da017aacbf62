//===- run.cpp - Runs a plan through the C++ API --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   run-cpp model.moeplan batch=2 seq=16 past=0
//
// Runs the plan with inputs that are all zero, of the sizes that the symbols
// say, and prints the outputs' shapes and how long each rank's slowest step
// took.
//
//===----------------------------------------------------------------------===//

#include <moe/Session.h>

#include <cstdio>
#include <cstdlib>

namespace {

int fail(const moe::Status &status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.exitCode();
}

/// Inputs own their zeros here; moe::Input only points.
struct ZeroInput {
  std::vector<int64_t> dims;
  std::vector<char> data;
};

moe::StatusOr<std::vector<ZeroInput>>
makeInputs(const moe::Model &model,
           const std::map<std::string, int64_t> &symbols) {
  constexpr size_t kLargestElement = 8;
  std::vector<ZeroInput> inputs;
  for (const moe::PortInfo &port : model.inputs()) {
    ZeroInput input;
    MOE_ASSIGN_OR_RETURN(input.dims, model.shapeOf(port, symbols));
    size_t count = 1;
    for (int64_t dim : input.dims)
      count *= dim;
    input.data.resize(count * kLargestElement + 1);
    inputs.push_back(std::move(input));
  }
  return inputs;
}

void printSlowestSteps(const moe::Context &context) {
  std::map<int, moe::StepTime> slowest;
  for (const moe::StepTime &time : context.stepTimes()) {
    auto [it, isNew] = slowest.try_emplace(time.rank, time);
    if (!isNew && time.end - time.begin > it->second.end - it->second.begin)
      it->second = time;
  }
  for (const auto &[rank, time] : slowest)
    std::printf("rank %d: slowest step %d (%s) took %.3f ms\n", rank, time.step,
                context.model().stepKernel(time.step).c_str(),
                (time.end - time.begin) / 1e6);
}

moe::Status run(const std::string &path,
                const std::map<std::string, int64_t> &symbols) {
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<moe::Model> model,
                       moe::Model::load(path));
  std::printf("%s: %d steps on %d ranks\n", model->name().c_str(),
              model->numSteps(), model->numRanks());
  MOE_ASSIGN_OR_RETURN(std::unique_ptr<moe::Context> context,
                       moe::Context::create(model));
  MOE_RETURN_IF_ERROR(context->prepare(symbols));

  MOE_ASSIGN_OR_RETURN(std::vector<ZeroInput> zeros,
                       makeInputs(*model, symbols));
  std::vector<moe::Input> inputs;
  for (size_t i = 0; i < zeros.size(); ++i)
    inputs.push_back({model->inputs()[i].name, model->inputs()[i].dtype,
                      zeros[i].dims, zeros[i].data.data()});

  moe::RunOptions options;
  options.timeSteps = true;
  MOE_ASSIGN_OR_RETURN(std::span<const moe::Output> outputs,
                       context->run(inputs, options));
  for (const moe::Output &output : outputs) {
    std::printf("%s [", std::string(output.name).c_str());
    for (size_t i = 0; i < output.dims.size(); ++i)
      std::printf("%s%lld", i ? ", " : "",
                  static_cast<long long>(output.dims[i]));
    std::printf("]\n");
  }
  printSlowestSteps(*context);
  return moe::Status::ok();
}

} // namespace

int main(int argc, char **argv) {
  std::map<std::string, int64_t> symbols;
  for (int i = 2; i < argc; ++i) {
    std::string argument = argv[i];
    size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      argc = 0;
      break;
    }
    symbols[argument.substr(0, equals)] =
        std::atoll(argument.c_str() + equals + 1);
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: run-cpp MODEL.moeplan [SYMBOL=VALUE ...]\n");
    return static_cast<int>(moe::StatusCode::Usage);
  }
  moe::Status status = run(argv[1], symbols);
  return status.isOk() ? 0 : fail(status);
}
