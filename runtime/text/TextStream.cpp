//===- TextStream.cpp - Text of tokens that come one by one ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/TextStream.h"

#include "runtime/io/Utf8.h"

#include <algorithm>

using namespace moe;

/// Moves characters from the front of `bytes` to `text`; an incomplete one at
/// the end stays.
static void moveCharacters(std::string &bytes, std::string &text) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    Utf8Step step = decodeUtf8(rest);
    if (step.kind == Utf8Step::Incomplete)
      break;
    if (step.kind == Utf8Step::Invalid)
      appendUtf8(text, 0xfffd);
    else
      text += rest.substr(0, step.bytes);
    rest.remove_prefix(step.bytes);
  }
  bytes.erase(0, bytes.size() - rest.size());
}

/// Bytes at the end of `text` that `stop` could begin with.
static size_t possibleBegin(std::string_view text, std::string_view stop) {
  size_t bytes = std::min(text.size(), stop.size() - 1);
  while (bytes > 0 && !stop.starts_with(text.substr(text.size() - bytes)))
    --bytes;
  return bytes;
}

std::string TextStream::take(bool isEnd) {
  moveCharacters(undecoded, held);
  if (isEnd && !undecoded.empty()) {
    undecoded.clear();
    appendUtf8(held, 0xfffd);
  }
  size_t stopAt = held.npos, numHeld = 0;
  for (const std::string &stop : stops) {
    stopAt = std::min(stopAt, held.find(stop));
    if (!isEnd)
      numHeld = std::max(numHeld, possibleBegin(held, stop));
  }
  stopped = stopAt != held.npos;
  std::string text = held.substr(0, stopped ? stopAt : held.size() - numHeld);
  held.erase(0, stopped ? held.size() : text.size());
  return text;
}

std::string TextStream::push(TokenId id) {
  if (stopped)
    return {};
  undecoded += tokenizer.bytesOf(id);
  return take(/*isEnd=*/false);
}

std::string TextStream::finish() {
  return stopped ? std::string() : take(/*isEnd=*/true);
}
