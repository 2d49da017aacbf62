//===- Table.cpp - Columns of text ----------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/common/Table.h"

#include <algorithm>
#include <cstdio>

using namespace moe;
using namespace moe::tools;

/// Characters of a text in UTF-8.
static size_t widthOf(const std::string &text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xc0) != 0x80; });
}

Table::Table(std::vector<std::string> titles) {
  for (std::string &title : titles) {
    isRight.push_back(title.starts_with('>'));
    if (isRight.back())
      title.erase(0, 1);
  }
  rows.push_back(std::move(titles));
}

void Table::addRow(std::vector<std::string> cells) {
  cells.resize(isRight.size());
  rows.push_back(std::move(cells));
}

std::string Table::text(int indent) const {
  std::vector<size_t> widths(isRight.size());
  for (const auto &row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], widthOf(row[i]));
  std::string text;
  for (const auto &row : rows) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - widthOf(row[i]), ' ');
      line += i == 0 ? "" : "  ";
      line += isRight[i] ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string tools::bytesText(uint64_t bytes) {
  constexpr const char *kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024)
    return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  while (value >= 1024 && unit < 3) {
    value /= 1024;
    ++unit;
  }
  return fixedText(value, 1) + " " + kUnits[unit];
}

std::string tools::fixedText(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string tools::shortText(const std::string &text, size_t limit) {
  if (widthOf(text) <= limit)
    return text;
  size_t bytes = 0;
  for (size_t width = 0; width + 3 < limit && bytes < text.size(); ++width)
    for (++bytes; bytes < text.size() && (text[bytes] & 0xc0) == 0x80;)
      ++bytes;
  return text.substr(0, bytes) + "...";
}
