//===- Json.cpp - JSON from files that nobody vouches for -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"

#include "runtime/io/Utf8.h"

#include <new>

using namespace moe;

static constexpr int kMaxDepth = 64;

/// Brackets outside of strings. The parser itself takes any depth, but what
/// walks the values afterwards does so by recursion.
static bool isTooDeep(std::string_view text) {
  int depth = 0;
  bool isString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (isString && c == '\\')
      ++i;
    else if (c == '"')
      isString = !isString;
    else if (!isString && (c == '[' || c == '{') && ++depth > kMaxDepth)
      return true;
    else if (!isString && (c == ']' || c == '}'))
      --depth;
  }
  return false;
}

StatusOr<nlohmann::json> moe::parseJson(std::string_view text) {
  if (isTooDeep(text))
    return Status(StatusCode::IoError,
                  "JSON is nested deeper than " + std::to_string(kMaxDepth));
  // The library reports by exceptions; they end here.
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception &error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    std::string_view what = error.what();
    size_t end = what.find("] ");
    what.remove_prefix(end == what.npos ? 0 : end + 2);
    return Status(StatusCode::IoError,
                  "not JSON: " + printableUtf8(what.substr(0, 200)));
  } catch (const std::bad_alloc &) {
    return Status(StatusCode::OutOfMemory, "no memory for JSON");
  }
}

std::string moe::jsonText(const nlohmann::ordered_json &value) {
  return value.dump(-1, ' ', false,
                    nlohmann::ordered_json::error_handler_t::replace);
}
