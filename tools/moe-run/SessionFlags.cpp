//===- SessionFlags.cpp - Options of every command that loads a plan ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/SessionFlags.h"

#include "runtime/exec/ProcessRanks.h"
#include "runtime/io/LoadProfile.h"
#include "runtime/support/File.h"
#include "tools/moe-run/Processes.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

using namespace moe;
using namespace moe::tools;

void SessionFlags::addTo(CLI::App &app) {
  // CLI11 reads -1 as the largest number.
  CLI::Validator isNotNegative(
      [](std::string &text) {
        return std::string(text.starts_with("-") ? "must not be negative" : "");
      },
      "");
  app.add_option("plan", plan, "The plan, as moe-opt wrote it")->required();
  app.add_option("--threads", threads,
                 "Threads over all ranks; without it, one for each core that "
                 "the process may use. Threads with a core each are bound to "
                 "it; MOE_AFFINITY=off in the environment leaves them free")
      ->check(CLI::Range(1, 1024));
  app.add_option("--device", device, "Device that runs the ranks: cpu")
      ->check(CLI::IsMember({"cpu"}));
  app.add_option("--max", max,
                 "Largest sizes to reserve memory for, as in "
                 "batch=8,seq=512; larger ones are refused");
  app.add_option("--verify", verify,
                 "full: compare weights with their checksums while loading; "
                 "lazy: only the plan's metadata")
      ->check(CLI::IsMember({"full", "lazy"}));
  app.add_option("--weights-folder", weightsFolders,
                 "Folder of the model's files, for a plan that refers to "
                 "weights outside of its own folder")
      ->check(CLI::ExistingDirectory);
  app.add_option("--timeout", timeoutSeconds,
                 "Seconds that a rank waits for the others")
      ->check(CLI::Range(0.001, 1e6));
  app.add_option("--processes", processes,
                 "Ranks as processes that mpirun started: mpi; as threads of "
                 "this one: none; auto: as the program was started")
      ->check(CLI::IsMember({"auto", "mpi", "none"}));
  app.add_option("--profile", profile,
                 "Write how often each expert was chosen (.json): moe-opt "
                 "--profile places experts by it");
  app.add_option("--memory", memoryBytes,
                 "Bytes that may be reserved, as in 8GB (0: the machine's)")
      ->transform(CLI::AsSizeValue(false))
      ->transform(isNotNegative);
}

Status tools::checkSymbols(const Model &model, std::string_view option,
                           const NamedNumbers &numbers) {
  std::vector<std::string> names;
  std::string list;
  for (const SymbolBound &symbol : model.symbols()) {
    names.push_back(symbol.name);
    list += (list.empty() ? "" : ", ") + symbol.name;
  }
  for (const auto &[name, number] : numbers)
    if (std::find(names.begin(), names.end(), name) == names.end())
      return Status(StatusCode::Usage,
                    std::string(option) + ": the model has no size '" + name +
                        "', only " + (list.empty() ? "fixed ones" : list) +
                        didYouMean(name, names));
  return Status::ok();
}

/// The plan is compared before anything is made for this process's rank, which
/// another plan may not have.
static Status agree(ProcessGroup &group, const std::string &path) {
  MOE_ASSIGN_OR_RETURN(PlanFile file, PlanFile::open(path));
  Status status = agreeOnPlan(group, file);
  if (status.code() == StatusCode::BadPlan ||
      status.code() == StatusCode::Usage)
    expectCommonEnd();
  return status.at("start");
}

/// One thread for each core, if all machines are like this one.
static int threadsOfAll(const ProcessGroup &group) {
  return group.numCores() * group.size() / group.numNeighbours();
}

StatusOr<Session> SessionFlags::open() const {
  Session session;
  if (max) {
    MOE_ASSIGN_OR_RETURN(session.maxima, parseNamedNumbers("--max", *max));
  }
  if (std::isnan(timeoutSeconds))
    return Status(StatusCode::Usage, "--timeout is no number");
  ContextOptions options;
  options.timeout = std::chrono::milliseconds(
      static_cast<int64_t>(std::ceil(timeoutSeconds * 1000)));
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<ProcessGroup> group,
                       joinProcesses(processes, options.timeout));
  LoadOptions loading;
  if (group) {
    MOE_RETURN_IF_ERROR(agree(*group, plan));
    loading.onlyRank = group->rank();
  }
  loading.weightMemoryLimit = memoryBytes;
  loading.verification =
      verify == "lazy" ? WeightVerification::Lazy : WeightVerification::Full;
  loading.weightFolders = weightsFolders;
  MOE_ASSIGN_OR_RETURN(session.model, Model::load(plan, loading));
  MOE_RETURN_IF_ERROR(checkSymbols(*session.model, "--max", session.maxima));
  options.numThreads = threads;
  if (group && threads == 0)
    options.numThreads = threadsOfAll(*group);
  options.device = device;
  options.memoryLimit = memoryBytes;
  options.recordLoads = !profile.empty();
  std::unique_ptr<Communicators> ranks;
  if (group)
    ranks = createProcessRanks(group, options.timeout);
  MOE_ASSIGN_OR_RETURN(session.context, Context::create(session.model, options,
                                                        std::move(ranks)));
  if (!session.maxima.empty())
    MOE_RETURN_IF_ERROR(session.context->prepare(session.maxima));
  MOE_RETURN_IF_ERROR(session.context->initialize());
  return session;
}

Status SessionFlags::writeProfile(const Context &context) const {
  if (profile.empty() || !isFirstProcess())
    return Status::ok();
  LoadProfile loads{context.model().name(), context.expertLoads()};
  std::string text = writeLoadProfile(loads);
  return writeWholeFile(profile, std::as_bytes(std::span(text)));
}
