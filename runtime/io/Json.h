//===- Json.h - JSON from files that nobody vouches for ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_JSON_H
#define MOE_RUNTIME_IO_JSON_H

#include "runtime/support/Status.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace moe {

/// Parses a text. Errors (IoError): what is not JSON, with line and column;
/// values nested deeper than 64.
StatusOr<nlohmann::json> parseJson(std::string_view text);

/// One line; strings that are not UTF-8 are shown with U+FFFD.
std::string jsonText(const nlohmann::ordered_json &value);

} // namespace moe

#endif // MOE_RUNTIME_IO_JSON_H
