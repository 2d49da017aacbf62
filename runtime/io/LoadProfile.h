//===- LoadProfile.h - Expert loads in a file -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `moe-run --profile` writes and `moe-opt --profile` reads:
//
//   {"version": 1, "model": "model.onnx", "layers": [
//     {"experts": 4,
//      "small": {"runs": 64, "rows": [40, 10, 8, 6]},
//      "large": {"runs": 2, "rows": [300, 90, 70, 52]},
//      "pairs": [[0, 1, 31], [0, 2, 20]]}]}
//
// Layers stand in the order of the plan. A pair [a, b, n] says that n tokens
// chose both experts.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_LOADPROFILE_H
#define MOE_RUNTIME_IO_LOADPROFILE_H

#include "runtime/support/ExpertLoads.h"
#include "runtime/support/Status.h"

#include <string>
#include <string_view>

namespace moe {

struct LoadProfile {
  std::string model;
  std::vector<ExpertLoads> layers;
};

std::string writeLoadProfile(const LoadProfile &profile);
/// Errors (IoError): what is not such a text, naming the layer and field.
StatusOr<LoadProfile> readLoadProfile(std::string_view text);

} // namespace moe

#endif // MOE_RUNTIME_IO_LOADPROFILE_H
