//===- WireScan.cpp - A model's message without its weights ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/WireScan.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

namespace moe::onnx_import {

namespace {

//===----------------------------------------------------------------------===//
// The schema, as far as the scan descends
//===----------------------------------------------------------------------===//

/// Messages that may hold a tensor somewhere.
enum class Message { Model, Graph, Node, Attribute, Tensor, Sparse, Function };

enum class Action {
  Drop,
  Keep,    ///< copied as it is
  Descend, ///< a message of kind `child`
  Fixed,   ///< tensor data, little endian
  Varint,  ///< tensor data, packed varints
};

struct Rule {
  Message parent;
  uint32_t field;
  Action action;
  Message child = Message::Model;
};

constexpr Rule kRules[] = {
    {Message::Model, 1, Action::Keep}, // ir_version
    {Message::Model, 7, Action::Descend, Message::Graph},
    {Message::Model, 8, Action::Keep}, // opset_import
    {Message::Model, 25, Action::Descend, Message::Function},
    {Message::Graph, 1, Action::Descend, Message::Node},
    {Message::Graph, 2, Action::Keep}, // name
    {Message::Graph, 5, Action::Descend, Message::Tensor},
    {Message::Graph, 11, Action::Keep}, // input
    {Message::Graph, 12, Action::Keep}, // output
    {Message::Graph, 15, Action::Descend, Message::Sparse},
    {Message::Node, 1, Action::Keep}, // input
    {Message::Node, 2, Action::Keep}, // output
    {Message::Node, 3, Action::Keep}, // name
    {Message::Node, 4, Action::Keep}, // op_type
    {Message::Node, 5, Action::Descend, Message::Attribute},
    {Message::Node, 7, Action::Keep}, // domain
    {Message::Node, 8, Action::Keep}, // overload
    {Message::Attribute, 1, Action::Keep},
    {Message::Attribute, 2, Action::Keep},
    {Message::Attribute, 3, Action::Keep},
    {Message::Attribute, 4, Action::Keep},
    {Message::Attribute, 5, Action::Descend, Message::Tensor},
    {Message::Attribute, 6, Action::Descend, Message::Graph},
    {Message::Attribute, 7, Action::Keep},
    {Message::Attribute, 8, Action::Keep},
    {Message::Attribute, 9, Action::Keep},
    {Message::Attribute, 10, Action::Descend, Message::Tensor},
    {Message::Attribute, 11, Action::Descend, Message::Graph},
    {Message::Attribute, 14, Action::Keep},
    {Message::Attribute, 15, Action::Keep},
    {Message::Attribute, 20, Action::Keep},
    {Message::Attribute, 21, Action::Keep},
    {Message::Attribute, 22, Action::Descend, Message::Sparse},
    {Message::Attribute, 23, Action::Descend, Message::Sparse},
    {Message::Tensor, 1, Action::Keep}, // dims
    {Message::Tensor, 2, Action::Keep}, // data_type
    {Message::Tensor, 4, Action::Fixed},
    {Message::Tensor, 5, Action::Varint},
    {Message::Tensor, 7, Action::Varint},
    {Message::Tensor, 8, Action::Keep}, // name
    {Message::Tensor, 9, Action::Fixed},
    {Message::Tensor, 10, Action::Fixed},
    {Message::Tensor, 11, Action::Varint},
    {Message::Tensor, 13, Action::Keep}, // external_data
    {Message::Tensor, 14, Action::Keep}, // data_location
    {Message::Sparse, 1, Action::Descend, Message::Tensor},
    {Message::Sparse, 2, Action::Descend, Message::Tensor},
    {Message::Sparse, 3, Action::Keep},
    {Message::Function, 1, Action::Keep}, // name
    {Message::Function, 4, Action::Keep}, // input
    {Message::Function, 5, Action::Keep}, // output
    {Message::Function, 6, Action::Keep}, // attribute
    {Message::Function, 7, Action::Descend, Message::Node},
    {Message::Function, 9, Action::Keep},  // opset_import
    {Message::Function, 10, Action::Keep}, // domain
    {Message::Function, 11, Action::Descend, Message::Attribute},
    {Message::Function, 13, Action::Keep}, // overload
};

const Rule *findRule(Message parent, uint64_t field) {
  for (const Rule &rule : kRules)
    if (rule.parent == parent && rule.field == field)
      return &rule;
  return nullptr;
}

/// Three levels of messages for each level of subgraphs.
constexpr unsigned kMaxDepth = 3 * 64 + 4;
constexpr uint64_t kMaxFields = 8'000'000;
constexpr uint64_t kMaxMessageBytes = uint64_t(1) << 31;
/// Integers of a small tensor take up to ten bytes each as varints.
constexpr uint64_t kInlineVarintBytes = 10 * kInlineBytes;
/// Field number of TensorProto.file_range in onnx.proto.
constexpr uint32_t kFileRangeField = 1000;

enum WireType : unsigned {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5
};

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// A position in the file with a window of bytes behind it.
class Cursor {
public:
  explicit Cursor(const InputFile &file) : file(file) {}

  uint64_t position() const { return windowStart + next; }
  void skip(uint64_t count) { seek(position() + count); }

  StatusOr<uint8_t> readByte() {
    if (next == window.size())
      MOE_RETURN_IF_ERROR(fill());
    return static_cast<uint8_t>(window[next++]);
  }
  StatusOr<uint64_t> readVarint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      MOE_ASSIGN_OR_RETURN(uint8_t byte, readByte());
      if (shift == 63 && byte > 1)
        break;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80)
        return value;
    }
    return Status(StatusCode::BadModel, "a number at byte " +
                                            std::to_string(position()) +
                                            " is longer than 64 bits");
  }
  /// Calls `use` with consecutive pieces of the next `count` bytes.
  template <typename Use> Status forEachPiece(uint64_t count, Use use) {
    while (count > 0) {
      if (next == window.size())
        MOE_RETURN_IF_ERROR(fill());
      size_t size = std::min<uint64_t>(count, window.size() - next);
      use(reinterpret_cast<const char *>(window.data()) + next, size);
      next += size;
      count -= size;
    }
    return Status::ok();
  }

private:
  void seek(uint64_t target) {
    if (target <= windowStart + window.size()) {
      next = static_cast<size_t>(target - windowStart);
      return;
    }
    windowStart = target;
    window.clear();
    next = 0;
  }
  Status fill() {
    windowStart += window.size();
    next = 0;
    uint64_t left = windowStart < file.size() ? file.size() - windowStart : 0;
    if (left == 0)
      return {StatusCode::BadModel, "the file ends inside of a message"};
    window.resize(std::min<uint64_t>(left, kWindowBytes));
    return file.readAt(windowStart, window);
  }

  static constexpr size_t kWindowBytes = size_t(1) << 18;
  const InputFile &file;
  std::vector<std::byte> window;
  uint64_t windowStart = 0;
  size_t next = 0;
};

//===----------------------------------------------------------------------===//
// Scanning
//===----------------------------------------------------------------------===//

class Scanner {
public:
  explicit Scanner(const InputFile &file) : cursor(file) {}

  Status scanMessage(Message kind, uint64_t end, unsigned depth);
  std::string takeOutput() { return std::move(output); }

private:
  Status scanField(Message kind, uint64_t end, unsigned depth);
  Status scanBytes(const Rule *rule, uint64_t field, uint64_t length,
                   unsigned depth);
  Status scanData(const Rule &rule, uint64_t length);
  StatusOr<uint64_t> countVarints(uint64_t length, bool copy);
  void writeRange(uint64_t offset, uint64_t length,
                  std::optional<uint64_t> varints);
  void writeVarint(uint64_t value);
  void writeTag(uint64_t field, WireType type) {
    writeVarint(field << 3 | type);
  }
  Status damaged(const std::string &what) const {
    return {StatusCode::BadModel,
            "is not an ONNX model or is damaged: " + what + " at byte " +
                std::to_string(cursor.position())};
  }

  Cursor cursor;
  std::string output;
  uint64_t numFields = 0;
};

} // namespace

void Scanner::writeVarint(uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    output.push_back(static_cast<char>(value | 0x80));
  output.push_back(static_cast<char>(value));
}

void Scanner::writeRange(uint64_t offset, uint64_t length,
                         std::optional<uint64_t> varints) {
  std::string outer = std::move(output);
  output.clear();
  writeTag(1, kVarint);
  writeVarint(offset);
  writeTag(2, kVarint);
  writeVarint(length);
  if (varints) {
    writeTag(3, kVarint);
    writeVarint(1);
    writeTag(4, kVarint);
    writeVarint(*varints);
  }
  std::string range = std::move(output);
  output = std::move(outer);
  writeTag(kFileRangeField, kBytes);
  writeVarint(range.size());
  output += range;
}

// Numbers of a packed field: bytes whose continuation bit is not set.
StatusOr<uint64_t> Scanner::countVarints(uint64_t length, bool copy) {
  uint64_t count = 0, run = 0;
  bool tooLong = false;
  Status status =
      cursor.forEachPiece(length, [&](const char *piece, size_t size) {
        for (size_t i = 0; i < size; ++i) {
          bool ends = !(piece[i] & 0x80);
          count += ends;
          tooLong |= ++run > 10;
          run = ends ? 0 : run;
        }
        if (copy)
          output.append(piece, size);
      });
  MOE_RETURN_IF_ERROR(status);
  if (run != 0 || tooLong)
    return damaged("packed numbers that do not end where their field ends");
  return count;
}

// The data of one tensor: a file range, and the bytes too if they are few.
Status Scanner::scanData(const Rule &rule, uint64_t length) {
  uint64_t offset = cursor.position();
  bool isVarint = rule.action == Action::Varint;
  bool copy = length <= (isVarint ? kInlineVarintBytes : kInlineBytes);
  if (copy) {
    writeTag(rule.field, kBytes);
    writeVarint(length);
  }
  std::optional<uint64_t> varints;
  if (isVarint) {
    MOE_ASSIGN_OR_RETURN(varints, countVarints(length, copy));
  } else if (copy) {
    MOE_RETURN_IF_ERROR(
        cursor.forEachPiece(length, [&](const char *piece, size_t size) {
          output.append(piece, size);
        }));
  } else {
    cursor.skip(length);
  }
  writeRange(offset, length, varints);
  return Status::ok();
}

Status Scanner::scanBytes(const Rule *rule, uint64_t field, uint64_t length,
                          unsigned depth) {
  if (!rule || rule->action == Action::Drop) {
    cursor.skip(length);
    return Status::ok();
  }
  if (rule->action == Action::Fixed || rule->action == Action::Varint)
    return scanData(*rule, length);
  writeTag(field, kBytes);
  if (rule->action == Action::Keep) {
    if (length >= kMaxMessageBytes)
      return damaged("a field of 2 GiB or more");
    writeVarint(length);
    return cursor.forEachPiece(length, [&](const char *piece, size_t size) {
      output.append(piece, size);
    });
  }
  // The length is known only afterwards: leave room for five bytes, which a
  // padded varint fills.
  size_t lengthAt = output.size();
  output.append(5, '\0');
  MOE_RETURN_IF_ERROR(
      scanMessage(rule->child, cursor.position() + length, depth + 1));
  uint64_t written = output.size() - lengthAt - 5;
  for (unsigned i = 0; i < 5; ++i)
    output[lengthAt + i] =
        static_cast<char>((written >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
  return Status::ok();
}

Status Scanner::scanField(Message kind, uint64_t end, unsigned depth) {
  MOE_ASSIGN_OR_RETURN(uint64_t tag, cursor.readVarint());
  uint64_t field = tag >> 3;
  if (field == 0 || field >= (1u << 29))
    return damaged("a field without number");
  const Rule *rule = findRule(kind, field);
  bool keep = rule && rule->action != Action::Drop;
  if (keep && ++numFields > kMaxFields)
    return {StatusCode::BadModel,
            "has more than " + std::to_string(kMaxFields) + " fields"};
  // A number of a repeated field that is not packed comes with its own tag.
  unsigned type = tag & 7;
  if (type == kVarint) {
    MOE_ASSIGN_OR_RETURN(uint64_t value, cursor.readVarint());
    if (keep) {
      writeTag(field, kVarint);
      writeVarint(value);
    }
    return Status::ok();
  }
  uint64_t length = type == kFixed64 ? 8 : 4;
  if (type == kBytes) {
    MOE_ASSIGN_OR_RETURN(length, cursor.readVarint());
  } else if (type != kFixed64 && type != kFixed32) {
    return damaged("an unknown kind of field");
  }
  if (cursor.position() > end || length > end - cursor.position())
    return damaged("a field that is longer than its message");
  if (type == kBytes)
    return scanBytes(rule, field, length, depth);
  if (!keep) {
    cursor.skip(length);
    return Status::ok();
  }
  writeTag(field, static_cast<WireType>(type));
  return cursor.forEachPiece(length, [&](const char *piece, size_t size) {
    output.append(piece, size);
  });
}

Status Scanner::scanMessage(Message kind, uint64_t end, unsigned depth) {
  if (depth > kMaxDepth)
    return {StatusCode::BadModel, "nests graphs deeper than 64 levels"};
  while (cursor.position() < end) {
    MOE_RETURN_IF_ERROR(scanField(kind, end, depth));
    if (output.size() >= kMaxMessageBytes)
      return {StatusCode::BadModel,
              "holds 2 GiB or more besides its weights, which protobuf does "
              "not allow: use external data"};
  }
  if (cursor.position() != end)
    return damaged("a field that is longer than its message");
  return Status::ok();
}

StatusOr<std::string> scanModel(const InputFile &file) {
  if (file.size() == 0)
    return Status(StatusCode::BadModel, "is empty");
  if (file.size() >= kMaxMessageBytes)
    return Status(StatusCode::BadModel,
                  "is a message of 2 GiB or more, which protobuf does not "
                  "allow: use external data");
  Scanner scanner(file);
  MOE_RETURN_IF_ERROR(scanner.scanMessage(Message::Model, file.size(), 0));
  return scanner.takeOutput();
}

} // namespace moe::onnx_import
