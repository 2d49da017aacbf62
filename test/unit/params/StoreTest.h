//===- StoreTest.h - Tests of weights that ranks load -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PARAMS_STORETEST_H
#define MOE_TEST_UNIT_PARAMS_STORETEST_H

#include "../plan/TestProgram.h"
#include "runtime/params/WeightStore.h"

#include <gtest/gtest.h>

namespace moe::test {

/// A program of ranks that slice tensors by three. A symbol of the group tp,
/// number 0, stands for a part of `whole`.
inline plan::ProgramT slicedProgram(int numRanks, const std::string &whole) {
  plan::ProgramT program;
  program.num_ranks = numRanks;
  program.tp = 3;
  plan::SymbolT &part = add(program.symbols);
  part.name = "columns.local";
  part.kind = plan::SymbolKind_LocalPart;
  part.whole = expr(program, whole);
  part.group = plan::Group_Tp;
  return program;
}

/// A plan in a file, with weights that may lie in w.bin beside it, and the
/// store that ranks load them from.
class PlanAndStore {
protected:
  /// Writes w.bin and lists it in the program.
  void writeNumbers(plan::ProgramT &program, std::span<const float> numbers) {
    ASSERT_TRUE(
        writeWholeFile(folder / "w.bin", std::as_bytes(numbers)).isOk());
    plan::WeightFileT &file = add(program.files);
    file.path = "w.bin";
    file.size = numbers.size_bytes();
  }
  /// Writes the plan; `addBlocks` gives the program its blocks.
  template <typename AddBlocks>
  void write(plan::ProgramT &program, AddBlocks &&addBlocks) {
    StatusOr<PlanWriter> writer = PlanWriter::create(path);
    ASSERT_TRUE(writer.isOk());
    ASSERT_NO_FATAL_FAILURE(addBlocks(*writer));
    Status status = writer->finish(program);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  void write(plan::ProgramT &program) {
    write(program, [](PlanWriter &) {});
  }
  /// Opens the plan and a store on it.
  void reopen(WeightStoreOptions options = {}) {
    StatusOr<PlanFile> opened = PlanFile::open(path);
    ASSERT_TRUE(opened.isOk()) << opened.status().message();
    plan = std::make_unique<PlanFile>(*std::move(opened));
    StatusOr<std::unique_ptr<WeightStore>> made =
        WeightStore::create(*plan, std::move(options));
    ASSERT_TRUE(made.isOk()) << made.status().message();
    store = *std::move(made);
  }

  TemporaryFolder folder;
  std::string path = folder / "test.moeplan";
  std::unique_ptr<PlanFile> plan;
  std::unique_ptr<WeightStore> store;
};

template <typename Source>
class StoreTest : public testing::TestWithParam<Source>,
                  protected PlanAndStore {};

} // namespace moe::test

#endif // MOE_TEST_UNIT_PARAMS_STORETEST_H
