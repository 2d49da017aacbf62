//===- LaunchedRanks.cpp - What a launcher says to ranks ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/LaunchedRanks.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

using namespace moe;
namespace fs = std::filesystem;

static constexpr char kRank[] = "OMPI_COMM_WORLD_RANK";
static constexpr char kSize[] = "OMPI_COMM_WORLD_SIZE";
static constexpr char kLocalSize[] = "OMPI_COMM_WORLD_LOCAL_SIZE";
static constexpr char kJob[] = "PMIX_NAMESPACE";

static std::optional<int> parseNumber(std::string_view text) {
  int number = 0;
  auto [at, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || at != text.data() + text.size())
    return std::nullopt;
  return number;
}

static std::optional<int> numberFrom(const char *variable) {
  const char *text = std::getenv(variable);
  return text ? parseNumber(text) : std::nullopt;
}

std::optional<LaunchedRank> moe::launchedRank() {
  std::optional<int> rank = numberFrom(kRank), size = numberFrom(kSize);
  if (!rank || !size || *rank < 0 || *rank >= *size)
    return std::nullopt;
  return LaunchedRank{*rank, *size, numberFrom(kLocalSize).value_or(*size)};
}

/// The value of a variable in the text of /proc/NUMBER/environ.
static std::optional<std::string_view> valueOf(std::string_view environment,
                                               std::string_view variable) {
  while (!environment.empty()) {
    std::string_view entry = environment.substr(0, environment.find('\0'));
    environment.remove_prefix(std::min(entry.size() + 1, environment.size()));
    if (entry.starts_with(variable) && entry.size() > variable.size() &&
        entry[variable.size()] == '=')
      return entry.substr(variable.size() + 1);
  }
  return std::nullopt;
}

std::map<int, ProcessState> moe::launchedNeighbours() {
  std::map<int, ProcessState> states;
  std::optional<LaunchedRank> self = launchedRank();
  const char *job = std::getenv(kJob);
  if (!self || !job)
    return states;
  // Which ranks of a job on several machines are here is not known.
  for (int rank = 0; self->localSize == self->size && rank < self->size; ++rank)
    states[rank] = ProcessState::Dead;
  std::error_code error;
  for (const fs::directory_entry &entry :
       fs::directory_iterator("/proc", error)) {
    std::optional<int> number = parseNumber(entry.path().filename().string());
    if (!number)
      continue;
    std::ifstream file(entry.path() / "environ", std::ios::binary);
    std::string environment{std::istreambuf_iterator<char>(file), {}};
    std::optional<std::string_view> text = valueOf(environment, kRank);
    std::optional<int> rank = text ? parseNumber(*text) : std::nullopt;
    std::optional<ProcessStat> stat = readProcessStat(*number);
    if (!rank || !stat || stat->state == 'Z' ||
        valueOf(environment, kJob) != std::string_view(job))
      continue;
    // A rank may be a script and what it runs.
    ProcessState &state = states[*rank];
    if (stat->state == 'T' || stat->state == 't')
      state = ProcessState::Stopped;
    else if (state != ProcessState::Stopped)
      state = ProcessState::Running;
  }
  return states;
}

std::string moe::idleNeighbours() {
  std::string text;
  for (auto [rank, state] : launchedNeighbours()) {
    if (state == ProcessState::Running)
      continue;
    text += (text.empty() ? "rank " : ", rank ") + std::to_string(rank) +
            (state == ProcessState::Stopped ? " (stopped)" : " (dead)");
  }
  return text;
}
