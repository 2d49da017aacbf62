//===- Table.h - Columns of text --------------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_COMMON_TABLE_H
#define MOE_TOOLS_COMMON_TABLE_H

#include <cstdint>
#include <string>
#include <vector>

namespace moe::tools {

/// Rows of cells, printed in aligned columns. Columns whose title begins with
/// '>' are aligned to the right.
class Table {
public:
  explicit Table(std::vector<std::string> titles);
  void addRow(std::vector<std::string> cells);
  bool isEmpty() const { return rows.size() == 1; }
  /// Lines that begin with `indent` spaces.
  std::string text(int indent = 2) const;

private:
  std::vector<bool> isRight;
  std::vector<std::vector<std::string>> rows;
};

/// "1.5 KiB", "3.2 MiB"; whole bytes below 1 KiB.
std::string bytesText(uint64_t bytes);
/// A number with the given digits behind the point.
std::string fixedText(double value, int digits);
/// At most `limit` characters of a text in UTF-8, "..." at its cut end.
std::string shortText(const std::string &text, size_t limit);

} // namespace moe::tools

#endif // MOE_TOOLS_COMMON_TABLE_H
