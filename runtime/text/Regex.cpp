//===- Regex.cpp - Regular expressions of tokenizers ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Regex.h"

#include <string>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

using namespace moe;

namespace {

constexpr size_t kMaxPatternBytes = 16 * 1024;
constexpr uint32_t kMaxNesting = 64;
constexpr uint32_t kMaxMatchSteps = 1'000'000;
constexpr uint32_t kMaxHeapKiB = 64 * 1024;

struct Free {
  void operator()(pcre2_code *code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data *data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_compile_context *context) const {
    pcre2_compile_context_free(context);
  }
  void operator()(pcre2_match_context *context) const {
    pcre2_match_context_free(context);
  }
};

std::string errorText(int code) {
  PCRE2_UCHAR buffer[128] = {};
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char *>(buffer);
}

} // namespace

struct Regex::Impl {
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_context, Free> limits;
};

StatusOr<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes)
    return Status(StatusCode::BadModel,
                  "pattern of " + std::to_string(pattern.size()) +
                      " bytes, at most " + std::to_string(kMaxPatternBytes) +
                      " are supported");
  auto impl = std::make_shared<Impl>();
  std::unique_ptr<pcre2_compile_context, Free> context(
      pcre2_compile_context_create(nullptr));
  impl->limits.reset(pcre2_match_context_create(nullptr));
  if (!context || !impl->limits)
    return Status(StatusCode::OutOfMemory, "no memory for a pattern");
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  pcre2_set_match_limit(impl->limits.get(), kMaxMatchSteps);
  pcre2_set_heap_limit(impl->limits.get(), kMaxHeapKiB);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // In Oniguruma's Ruby syntax ^ and $ always mean lines.
  constexpr uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  impl->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()),
                                 pattern.size(), kOptions, &error, &offset,
                                 context.get()));
  if (!impl->code)
    return Status(StatusCode::BadModel, "bad pattern at byte " +
                                            std::to_string(offset) + ": " +
                                            errorText(error));
  return Regex(std::move(impl));
}

StatusOr<std::vector<TextRange>> Regex::findAll(std::string_view text) const {
  std::unique_ptr<pcre2_match_data, Free> data(
      pcre2_match_data_create_from_pattern(impl->code.get(), nullptr));
  if (!data)
    return Status(StatusCode::OutOfMemory, "no memory to match a pattern");
  std::vector<TextRange> found;
  size_t begin = 0;
  while (begin < text.size()) {
    // Of empty matches there is no use; the engine looks for the next others.
    int result =
        pcre2_match(impl->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                    text.size(), begin, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                    data.get(), impl->limits.get());
    if (result == PCRE2_ERROR_NOMATCH)
      break;
    if (result < 0)
      return Status(StatusCode::BadModel,
                    "pattern cannot be matched: " + errorText(result));
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data.get());
    // \K and look-behind can make a match that does not advance.
    if (ends[0] < begin || ends[1] <= ends[0])
      return Status(StatusCode::BadModel,
                    "pattern matches text that it already left");
    found.push_back({ends[0], ends[1]});
    begin = ends[1];
  }
  return found;
}
