//===- Lists.h - Lists in the text of an option -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_LISTS_H
#define MOE_RUNTIME_SUPPORT_LISTS_H

#include "runtime/support/Status.h"

#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// The items of a list, in order: "1,2" has "1" and "2". Errors (Usage): a list
/// or an item that is empty, which a user has rather forgotten than meant.
inline StatusOr<std::vector<std::string_view>> splitList(std::string_view text,
                                                         char separator = ',') {
  if (text.empty())
    return Status(StatusCode::Usage, "the list is empty");
  std::vector<std::string_view> items;
  for (size_t begin = 0;;) {
    size_t end = text.find(separator, begin);
    items.push_back(text.substr(begin, end - begin));
    if (end == text.npos)
      break;
    begin = end + 1;
  }
  for (size_t i = 0; i < items.size(); ++i)
    if (items[i].empty())
      return Status(StatusCode::Usage,
                    "item " + std::to_string(i + 1) + " of " +
                        std::to_string(items.size()) + " is empty");
  return items;
}

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_LISTS_H
