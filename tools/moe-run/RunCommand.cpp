//===- RunCommand.cpp - moe-run PLAN: runs a model once on arrays ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ChromeTrace.h"
#include "runtime/io/Json.h"
#include "runtime/io/Npz.h"
#include "runtime/io/Utf8.h"
#include "runtime/support/File.h"
#include "tools/common/Signals.h"
#include "tools/common/Table.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/Compare.h"
#include "tools/moe-run/Processes.h"
#include "tools/moe-run/SessionFlags.h"
#include "tools/moe-run/Statistics.h"
#include "tools/moe-run/SyntheticInputs.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstring>
#include <optional>

using namespace moe;
using namespace moe::tools;
using nlohmann::ordered_json;

namespace {

constexpr char kExamples[] = R"(
examples:
  moe-run model.moeplan --inputs in.npz --outputs out.npz
  moe-run model.moeplan --inputs in.npz --expect out.npz --atol 1e-4 --json
  moe-run model.moeplan --shape batch=2,seq=16 --trace trace.json)";

struct RunFlags {
  SessionFlags session;
  std::string inputs, outputs, expect, trace;
  std::optional<std::string> shape;
  Tolerance tolerance;
  uint64_t seed = 0;
  bool json = false;

  void addTo(CLI::App &app) {
    session.addTo(app);
    app.add_option("--inputs", inputs,
                   "Arrays by input name (.npz); without them the inputs are "
                   "made from --seed");
    app.add_option("--shape", shape,
                   "Sizes of made inputs, as in batch=2,seq=16");
    app.add_option("--seed", seed, "Seed of made inputs")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--outputs", outputs, "Write all outputs here (.npz)");
    app.add_option("--expect", expect,
                   "Compare outputs with these arrays (.npz); exit code 5 if "
                   "they differ");
    app.add_option("--atol", tolerance.absolute,
                   "Allowed difference, plus ...");
    app.add_option("--rtol", tolerance.relative,
                   "... this, times the expected value");
    app.add_option("--trace", trace,
                   "Write when each rank ran each step (Chrome's trace "
                   "format)");
    app.add_flag("--json", json, "Print one JSON object");
    app.footer(kExamples);
  }
  Status check() const {
    for (auto [name, value] : {std::pair("--atol", tolerance.absolute),
                               std::pair("--rtol", tolerance.relative)})
      if (!(value >= 0) || std::isinf(value))
        return Status(StatusCode::Usage,
                      std::string(name) + " must be a number >= 0");
    if (!inputs.empty() && shape)
      return Status(StatusCode::Usage,
                    "--shape is for made inputs, it cannot go with --inputs");
    return Status::ok();
  }
};

/// What there is to say about a run.
struct RunReport {
  std::vector<HostTensor> outputs;
  double milliseconds = 0;
  std::optional<Comparison> comparison;
};

const PortInfo *findPort(std::span<const PortInfo> ports,
                         std::string_view name) {
  for (const PortInfo &port : ports)
    if (port.name == name)
      return &port;
  return nullptr;
}

Status unknownArray(const std::string &path, const std::string &name,
                    const char *what, std::span<const PortInfo> ports) {
  std::vector<std::string> names;
  std::string list;
  for (const PortInfo &port : ports) {
    names.push_back(port.name);
    list += (list.empty() ? "" : ", ") + port.name;
  }
  return Status(StatusCode::IoError,
                path + ": array '" + printableUtf8(name) + "' is no " + what +
                    " of the model" + didYouMean(name, names) + " (it has " +
                    shortText(printableUtf8(list), 200) + ")");
}

/// Reads the arrays of all inputs, in the element types of the model.
StatusOr<std::vector<HostTensor>> readInputs(const Model &model,
                                             const std::string &path) {
  MOE_ASSIGN_OR_RETURN(NpzFile file, NpzFile::open(path));
  for (const NpzMember &member : file.members())
    if (!findPort(model.inputs(), member.name))
      return unknownArray(path, member.name, "input", model.inputs());
  std::vector<HostTensor> inputs;
  for (const PortInfo &port : model.inputs()) {
    if (!file.contains(port.name))
      return Status(StatusCode::IoError,
                    path + ": input '" + port.name + "' is missing");
    MOE_ASSIGN_OR_RETURN(HostTensor input, file.read(port.name));
    if (input.dtype() != port.dtype) {
      StatusOr<HostTensor> converted = convertTensor(input, port.dtype);
      if (!converted.isOk())
        return converted.status().at(path);
      input = *std::move(converted);
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

StatusOr<std::vector<HostTensor>> inputsOf(const RunFlags &flags,
                                           const Model &model) {
  if (!flags.inputs.empty())
    return readInputs(model, flags.inputs);
  NamedNumbers given;
  if (flags.shape) {
    MOE_ASSIGN_OR_RETURN(given, parseNamedNumbers("--shape", *flags.shape));
  }
  MOE_ASSIGN_OR_RETURN(NamedNumbers shape,
                       completeShape(model, "--shape", given));
  return makeInputs(model, shape, flags.seed, /*withStates=*/true);
}

StatusOr<HostTensor> copyOutput(const Output &output) {
  MOE_ASSIGN_OR_RETURN(
      HostTensor tensor,
      HostTensor::create(std::string(output.name), output.dtype,
                         {output.dims.begin(), output.dims.end()}));
  if (output.bytes > 0)
    std::memcpy(tensor.bytes().data(), output.data, output.bytes);
  return tensor;
}

StatusOr<RunReport> execute(Session &session, const RunFlags &flags,
                            std::span<const HostTensor> tensors) {
  std::vector<Input> inputs;
  for (const HostTensor &tensor : tensors)
    inputs.push_back(
        {tensor.name(), tensor.dtype(), tensor.dims(), tensor.bytes().data()});
  RunOptions options;
  options.presentStates = true;
  options.timeSteps = !flags.trace.empty();
  session.context->resetCounters();
  Stopwatch watch;
  MOE_ASSIGN_OR_RETURN(std::span<const Output> outputs,
                       session.context->run(inputs, options));
  RunReport report;
  report.milliseconds = watch.milliseconds();
  for (const Output &output : outputs) {
    MOE_ASSIGN_OR_RETURN(HostTensor tensor, copyOutput(output));
    report.outputs.push_back(std::move(tensor));
  }
  return report;
}

Status compareOutputs(const Session &session, const RunFlags &flags,
                      RunReport &report) {
  MOE_ASSIGN_OR_RETURN(NpzFile file, NpzFile::open(flags.expect));
  report.comparison.emplace();
  for (const NpzMember &member : file.members()) {
    const HostTensor *found = nullptr;
    for (const HostTensor &output : report.outputs)
      if (output.name() == member.name)
        found = &output;
    if (!found)
      return unknownArray(flags.expect, member.name, "output",
                          session.model->outputs());
    MOE_ASSIGN_OR_RETURN(HostTensor expected, file.read(member.name));
    compare(*found, expected, flags.tolerance, *report.comparison);
  }
  return Status::ok();
}

Status writeTrace(const Session &session, const std::string &path) {
  std::string trace = chromeTrace(*session.model, session.context->stepTimes());
  return writeWholeFile(path, std::as_bytes(std::span(trace)));
}

/// JSON knows no infinity.
ordered_json finiteOrText(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json("inf");
}

void printJson(const Session &session, const RunReport &report) {
  ordered_json outputs = ordered_json::object();
  for (const HostTensor &output : report.outputs)
    outputs[output.name()] = {{"shape", output.dims()},
                              {"dtype", dtypeName(output.dtype())}};
  ordered_json object;
  object["outputs"] = std::move(outputs);
  object["max_abs_error"] = nullptr;
  object["max_rel_error"] = nullptr;
  if (report.comparison) {
    object["max_abs_error"] = finiteOrText(report.comparison->maxAbsoluteError);
    object["max_rel_error"] = finiteOrText(report.comparison->maxRelativeError);
    object["differing"] = report.comparison->differing;
  }
  object["ms"] = report.milliseconds;
  object["threads"] = session.context->numThreads();
  object["reserved_bytes"] = session.context->reservedBytes();
  object["ranks"] = ranksJson(*session.context);
  std::printf("%s\n", jsonText(object).c_str());
}

void printText(const Session &session, const RunReport &report) {
  Table table({"output", "type", "shape"});
  for (const HostTensor &output : report.outputs)
    table.addRow({printableUtf8(output.name()),
                  std::string(dtypeName(output.dtype())),
                  shapeText(output.dims())});
  std::printf("%s\n%s\n", table.text().c_str(),
              ranksTable(*session.context).c_str());
  if (report.comparison)
    std::printf("%s\n", report.comparison->summary().c_str());
  std::printf("%.3f ms, %d threads, %s reserved\n", report.milliseconds,
              session.context->numThreads(),
              bytesText(session.context->reservedBytes()).c_str());
}

Status differenceError(const Comparison &comparison) {
  if (comparison.isEqual())
    return Status::ok();
  if (isFirstProcess())
    for (const std::string &difference : comparison.differences)
      std::fprintf(stderr, "%s\n", difference.c_str());
  return Status(StatusCode::ResultsDiffer,
                "outputs differ: " + comparison.summary());
}

Status runAll(const RunFlags &flags) {
  MOE_RETURN_IF_ERROR(flags.check());
  MOE_ASSIGN_OR_RETURN(Session session, flags.session.open());
  MOE_ASSIGN_OR_RETURN(std::vector<HostTensor> inputs,
                       inputsOf(flags, *session.model));
  CancelOnSignal cancel = cancelOnSignal(*session.context);
  MOE_ASSIGN_OR_RETURN(RunReport report, execute(session, flags, inputs));
  MOE_RETURN_IF_ERROR(session.context->gatherStatistics());
  if (!flags.trace.empty() && isFirstProcess())
    MOE_RETURN_IF_ERROR(writeTrace(session, flags.trace));
  MOE_RETURN_IF_ERROR(flags.session.writeProfile(*session.context));
  if (!flags.outputs.empty() && isFirstProcess())
    MOE_RETURN_IF_ERROR(writeNpz(flags.outputs, report.outputs));
  if (!flags.expect.empty())
    MOE_RETURN_IF_ERROR(compareOutputs(session, flags, report));
  if (flags.json)
    printJson(session, report);
  else
    printText(session, report);
  MOE_RETURN_IF_ERROR(flushOutput());
  return report.comparison ? differenceError(*report.comparison) : Status::ok();
}

} // namespace

int tools::runCommand(const std::vector<std::string> &words) {
  CLI::App app("Runs a plan once.", "moe-run");
  RunFlags flags;
  flags.addTo(app);
  if (std::optional<int> exitCode = parseCommandLine(app, words))
    return *exitCode;
  return endProgram("moe-run", runAll(flags));
}
