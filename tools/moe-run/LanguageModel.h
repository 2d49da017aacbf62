//===- LanguageModel.h - A model from token ids to logits -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Finds the ports of a causal language model by their standard names in ONNX:
//
//   input_ids [batch, seq]; attention_mask [batch, past + seq] (optional);
//   position_ids [batch, seq] or [3, batch, seq] (optional); caches (optional)
//   logits [batch, seq, vocabulary]
//
// With caches a run is given the new tokens only; without, the whole sequences.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_LANGUAGEMODEL_H
#define MOE_TOOLS_MOE_RUN_LANGUAGEMODEL_H

#include "moe/Session.h"
#include "runtime/io/HostTensor.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moe::tools {

/// Rows of tokens of equal length; shorter ones are padded on the left.
struct TokenBatch {
  int64_t numRows = 0;
  int64_t length = 0;
  /// Row major; `mask` is 0 for padding, else 1.
  std::vector<int64_t> ids, mask;

  /// Pads the rows with `padding`.
  static TokenBatch create(const std::vector<std::vector<int32_t>> &rows,
                           int64_t padding);
  /// One more token for each row.
  void append(std::span<const int32_t> tokens);
};

class LanguageModel {
public:
  /// Errors (Unsupported): the model has no such ports, or other inputs that
  /// nobody can fill.
  static StatusOr<LanguageModel> create(Context &context);

  bool hasCache() const { return cached; }
  bool takesMask() const { return maskPort >= 0; }
  /// Largest number of positions, if the model has a table of them.
  std::optional<int64_t> maxLength() const { return maxPositions; }
  /// Tokens that the model knows, if its table of them has a fixed size.
  std::optional<int64_t> vocabularySize() const { return numTokens; }

  /// Reserves memory for sequences that grow to `length` tokens.
  Status reserve(int64_t numRows, int64_t promptLength, int64_t length);
  /// Begins new sequences.
  void reset();
  /// Feeds the tokens that are new since the last call (all after a reset).
  Status run(const TokenBatch &batch);
  /// Logits behind a token of the last run: position 0 is the first token that
  /// was fed. A negative position counts from the end. Valid until the next
  /// call.
  StatusOr<std::span<const float>> logits(int64_t row, int64_t position = -1);

private:
  explicit LanguageModel(Context &context) : context(&context) {}
  Status findPorts();
  Status findLogits();
  StatusOr<HostTensor> makeInput(int port, const TokenBatch &batch) const;

  Context *context;
  int idsPort = -1, maskPort = -1, positionsPort = -1, logitsPort = -1;
  bool cached = false;
  std::optional<int64_t> maxPositions, numTokens;

  int64_t numFed = 0; ///< tokens of each row in the caches
  Output output;
  std::vector<float> row;
};

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_LANGUAGEMODEL_H
