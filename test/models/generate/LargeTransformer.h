//===- LargeTransformer.h - MoE transformers of any size --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes ONNX models whose weights are ranges of one sparse file of zeros, so a
// model of hundreds of gigabytes takes no disk. Compiled with
// --weights=synthetic or reference it is as good as a trained one for all that
// is about sizes and time.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_MODELS_GENERATE_LARGETRANSFORMER_H
#define MOE_TEST_MODELS_GENERATE_LARGETRANSFORMER_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moe::test {

struct TransformerSizes {
  /// Experts of each layer; 0: a dense MLP.
  std::vector<int64_t> experts;
  int64_t k = 1;
  int64_t hidden = 64;
  int64_t inner = 256;
  int64_t heads = 4;
  int64_t vocabulary = 1024;
  /// A dense branch beside the experts, mixed by a softmax (PR-MoE).
  bool residual = false;
  /// silu(x w1) * (x w3) in experts instead of gelu(x w1 + b1).
  bool gated = false;

  /// The PR-MoE of 1.3B dense parameters of DeepSpeed-MoE: 24 layers, MoE in
  /// every second one, 64 experts in ten of them and 128 in the last two.
  static TransformerSizes prmoe();
  /// 60 layers of 256 experts.
  static TransformerSizes deep();
};

/// model.onnx and weights.bin in `folder`: input_ids [batch, seq] and caches of
/// keys and values -> logits. Errors: IoError.
Status writeTransformer(const std::string &folder,
                        const TransformerSizes &sizes);

/// One layer: x [tokens, hidden] and its router -> y, without biases.
Status writeMoeLayer(const std::string &folder, const TransformerSizes &sizes);

} // namespace moe::test

#endif // MOE_TEST_MODELS_GENERATE_LARGETRANSFORMER_H
