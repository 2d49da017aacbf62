//===- LayoutTest.cpp - The layouts in which weights are loaded -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/exec/TestProgram.h"

using namespace moe;
using namespace moe::test;

namespace {
class NoKernel final : public Kernel {
public:
  Status run(const KernelArgs &, StepContext &) const override {
    return Status::ok();
  }
};
} // namespace

/// Kernels "codes" and "floats"; the first one reads all layouts of codes.
static const KernelRegistry &registry() {
  static const KernelRegistry made = [] {
    auto factory = [](const KernelSpec &) -> StatusOr<std::unique_ptr<Kernel>> {
      return std::unique_ptr<Kernel>(std::make_unique<NoKernel>());
    };
    KernelRegistry all;
    all.add("codes", factory, {"panel16.q", "panel16", "row"});
    all.add("floats", factory, {"panel16", "row"});
    all.add("only_codes", factory, {"panel16.q"});
    return all;
  }();
  return made;
}

/// The layout of a weight [192, 16] that `kernels` read on three ranks, which
/// divide its rows in `whole` parts (0: they hold it whole), or the error.
static std::string layoutFor(const std::string &layout,
                             std::vector<std::string> kernels, int whole = 0) {
  TestProgram p(3, /*tp=*/3);
  if (whole != 0)
    p.localPart("rows.local", std::to_string(whole), plan::Group_Tp);
  auto param = std::make_unique<plan::ParamT>();
  param->name = "weights";
  param->layout = layout;
  param->dims = {192, 16};
  if (whole != 0) {
    param->part_axis = 0;
    param->part = p.findSymbol("rows.local");
  }
  param->blocks.push_back(std::make_unique<plan::BlockT>());
  p.program.params.push_back(std::move(param));
  int w = p.buffer(plan::BufferKind_Param, 0, {"192", "16"});
  for (const std::string &kernel : kernels)
    p.step(kernel, {w}, {});
  auto program = std::make_shared<plan::ProgramT>(std::move(p.program));
  StatusOr<std::shared_ptr<Executable>> executable =
      Executable::create(program, registry(), nullptr);
  if (!executable.isOk())
    return executable.status().message();
  return std::string((*executable)->layoutOf(0));
}

TEST(Layout, KernelsOfCodesReadAllFormats) {
  for (const char *layout : {"panel16.q4x32", "panel16.q8x16.f32.z",
                             "panel16.q4x1024", "panel16", "row"})
    EXPECT_EQ(layoutFor(layout, {"codes"}), layout);
}

TEST(Layout, OtherKernelsReadNumbers) {
  EXPECT_EQ(layoutFor("panel16.q4x32", {"floats"}), "panel16");
  EXPECT_EQ(layoutFor("panel16.q4x32", {"codes", "floats"}), "panel16");
  EXPECT_EQ(layoutFor("row", {"codes", "floats"}), "row");
  // No name stands for a layout in which numbers could be.
  EXPECT_EQ(layoutFor("row", {"only_codes"}),
            "parameter \"weights\" is read by kernels that have no layout in "
            "common");
}

TEST(Layout, PartsThatCutBlocksAreNumbers) {
  // Ranks hold 64 rows each.
  EXPECT_EQ(layoutFor("panel16.q4x64", {"codes"}, 192), "panel16.q4x64");
  EXPECT_EQ(layoutFor("panel16.q4x128", {"codes"}, 192), "panel16");
  EXPECT_EQ(layoutFor("panel16.q4x128", {"codes"}), "panel16.q4x128");
}
