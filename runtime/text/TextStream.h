//===- TextStream.h - Text of tokens that come one by one -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A token may end inside of a character, and a text inside of a stop string.
// What a stream has given out is final, so it holds such ends back:
//
//   tokens    "caf"  "\xc3"  "\xa9 S"  "TOP"        with stop string "STOP"
//   given     "caf"  ""      "é "      (stopped)
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_TEXTSTREAM_H
#define MOE_RUNTIME_TEXT_TEXTSTREAM_H

#include "runtime/text/Tokenizer.h"

#include <string>
#include <vector>

namespace moe {

class TextStream {
public:
  /// The stream ends before the first of `stops`, none of which is empty.
  explicit TextStream(const Tokenizer &tokenizer,
                      std::vector<std::string> stops = {})
      : tokenizer(tokenizer), stops(std::move(stops)) {}

  /// The text that has become final.
  std::string push(TokenId id);
  /// The rest; an incomplete character becomes U+FFFD.
  std::string finish();
  /// A stop string has come; whatever is pushed now gives nothing.
  bool isStopped() const { return stopped; }

private:
  std::string take(bool isEnd);

  Tokenizer tokenizer;
  std::vector<std::string> stops;
  std::string undecoded; ///< the beginning of a character
  std::string held;      ///< characters that may begin a stop string
  bool stopped = false;
};

} // namespace moe

#endif // MOE_RUNTIME_TEXT_TEXTSTREAM_H
