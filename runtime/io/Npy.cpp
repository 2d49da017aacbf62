//===- Npy.cpp - Arrays in NumPy's file format ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Npy.h"

#include "runtime/support/CheckedMath.h"

#include <charconv>
#include <cstring>
#include <optional>

using namespace moe;

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 64 * 1024;

struct DTypeCode {
  std::string_view code;
  DType dtype;
};

// A type is written as its first row, a code read as its first row.
constexpr DTypeCode kDTypeCodes[] = {
    {"<f4", DType::F32},  {"<f4", DType::BF16}, {"<f8", DType::F64},
    {"<f2", DType::F16},  {"|i1", DType::I8},   {"<i2", DType::I16},
    {"<i4", DType::I32},  {"<i8", DType::I64},  {"|u1", DType::U8},
    {"<u2", DType::U16},  {"<u4", DType::U32},  {"<u8", DType::U64},
    {"|b1", DType::Bool}, {"<i1", DType::I8},   {"<u1", DType::U8},
    {"<b1", DType::Bool},
};

Status bad(std::string message) {
  return Status(StatusCode::IoError, std::move(message));
}

/// Found text in a message: what is not printable becomes '?', and not too
/// much of it.
std::string quoted(std::string_view text) {
  std::string result = "'";
  for (char c : text.substr(0, 40))
    result += c >= 0x20 && c < 0x7f ? c : '?';
  return result + (text.size() > 40 ? "...'" : "'");
}

StatusOr<DType> parseDescr(std::string_view descr) {
  for (const DTypeCode &row : kDTypeCodes)
    if (row.code == descr)
      return row.dtype;
  std::string what = "npy header: element type " + quoted(descr);
  if (descr.starts_with('>'))
    return bad(what + " is big endian, expected little endian");
  if (descr.find('O') != std::string_view::npos)
    return bad(what + " holds Python objects, expected bool, integers or "
                      "floats");
  return bad(what + " is not supported, expected bool (|b1), integers (|i1 "
                    "to <i8, |u1 to <u8) or floats (<f2, <f4, <f8; bfloat16 "
                    "stands as <f4)");
}

/// Reads the header's literal from front to back.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : rest(text) {}

  StatusOr<NpyHeader> parse() {
    MOE_RETURN_IF_ERROR(expect('{'));
    while (!accept('}')) {
      MOE_RETURN_IF_ERROR(parseEntry());
      if (accept(','))
        continue;
      MOE_RETURN_IF_ERROR(expect('}'));
      break;
    }
    skipSpace();
    if (!rest.empty() && rest != "\n")
      return bad("npy header: found " + quoted(rest) + " after the header");
    if (!dtype || !fortranOrder || !dims)
      return bad(std::string("npy header: key '") +
                 (!dtype          ? "descr"
                  : !fortranOrder ? "fortran_order"
                                  : "shape") +
                 "' is missing");
    return NpyHeader{*dtype, *fortranOrder, *std::move(dims)};
  }

private:
  Status parseEntry() {
    MOE_ASSIGN_OR_RETURN(std::string_view key, parseString());
    MOE_RETURN_IF_ERROR(expect(':'));
    if (key == "descr" && !dtype) {
      MOE_ASSIGN_OR_RETURN(std::string_view descr, parseString());
      MOE_ASSIGN_OR_RETURN(dtype, parseDescr(descr));
      return Status::ok();
    }
    if (key == "fortran_order" && !fortranOrder) {
      if (accept("True"))
        fortranOrder = true;
      else if (accept("False"))
        fortranOrder = false;
      else
        return bad("npy header: found " + quoted(rest) +
                   ", expected True or False");
      return Status::ok();
    }
    if (key == "shape" && !dims)
      return parseShape();
    return bad("npy header: key " + quoted(key) + " is unknown or repeated");
  }

  Status parseShape() {
    std::vector<int64_t> sizes;
    MOE_RETURN_IF_ERROR(expect('('));
    bool comma = true;
    while (!accept(')')) {
      if (!comma)
        return bad("npy header: found " + quoted(rest) + ", expected ','");
      MOE_ASSIGN_OR_RETURN(int64_t size, parseSize());
      if (sizes.size() == static_cast<size_t>(kMaxRank))
        return bad("npy header: more than " + std::to_string(kMaxRank) +
                   " dimensions");
      sizes.push_back(size);
      comma = accept(',');
    }
    // In Python (3) is a number, a tuple of one is (3,).
    if (sizes.size() == 1 && !comma)
      return bad("npy header: shape is not a tuple");
    dims = std::move(sizes);
    return Status::ok();
  }

  StatusOr<int64_t> parseSize() {
    skipSpace();
    int64_t size = 0;
    auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), size);
    if (error != std::errc() || size < 0)
      return bad("npy header: found " + quoted(rest) +
                 ", expected a size of 0 to 2^63 - 1");
    rest.remove_prefix(end - rest.data());
    return size;
  }

  StatusOr<std::string_view> parseString() {
    skipSpace();
    char quote = rest.empty() ? '\0' : rest.front();
    size_t end =
        quote == '\'' || quote == '"' ? rest.find(quote, 1) : rest.npos;
    if (end == rest.npos)
      return bad("npy header: found " + quoted(rest) + ", expected a string");
    std::string_view text = rest.substr(1, end - 1);
    if (text.find_first_of("\\\n") != rest.npos)
      return bad("npy header: found " + quoted(text) +
                 ", expected a string without escapes");
    rest.remove_prefix(end + 1);
    return text;
  }

  void skipSpace() {
    size_t first = rest.find_first_not_of(' ');
    rest.remove_prefix(first == rest.npos ? rest.size() : first);
  }
  bool accept(std::string_view token) {
    skipSpace();
    if (!rest.starts_with(token))
      return false;
    rest.remove_prefix(token.size());
    return true;
  }
  bool accept(char token) { return accept(std::string_view(&token, 1)); }
  Status expect(char token) {
    if (accept(token))
      return Status::ok();
    return bad("npy header: found " + quoted(rest) + ", expected '" +
               std::string(1, token) + "'");
  }

  std::string_view rest;
  std::optional<DType> dtype;
  std::optional<bool> fortranOrder;
  std::optional<std::vector<int64_t>> dims;
};

/// Reads magic, version and the header's text.
StatusOr<std::string> readHeaderText(ByteSource &source) {
  unsigned char prefix[12];
  auto read = [&](size_t offset, size_t count) -> Status {
    if (source.remaining() < count)
      return bad("npy header is cut off");
    return source.read(
        std::as_writable_bytes(std::span(prefix + offset, count)));
  };
  MOE_RETURN_IF_ERROR(read(0, 8));
  if (std::memcmp(prefix, kMagic.data(), kMagic.size()) != 0)
    return bad("not an npy array: the magic \\x93NUMPY is missing");
  unsigned major = prefix[6], minor = prefix[7];
  if (major < 1 || major > 3 || minor != 0)
    return bad("npy version " + std::to_string(major) + "." +
               std::to_string(minor) +
               " is not supported, expected 1.0 to "
               "3.0");
  size_t lengthBytes = major == 1 ? 2 : 4;
  MOE_RETURN_IF_ERROR(read(8, lengthBytes));
  uint32_t length = 0;
  for (size_t i = 0; i < lengthBytes; ++i)
    length |= uint32_t(prefix[8 + i]) << (8 * i);
  if (length > kMaxHeaderBytes)
    return bad("npy header has " + std::to_string(length) +
               " bytes, expected at most " + std::to_string(kMaxHeaderBytes));
  if (length > source.remaining())
    return bad("npy header is cut off");
  std::string text(length, '\0');
  MOE_RETURN_IF_ERROR(source.read(std::as_writable_bytes(std::span(text))));
  return text;
}

/// Copies column-major elements into row-major order.
void transposeFromFortran(const HostTensor &from, HostTensor &to) {
  std::vector<int64_t> dims = to.dims();
  size_t size = dtypeSize(to.dtype());
  std::vector<int64_t> stride(dims.size());
  int64_t next = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    stride[i] = next;
    next *= dims[i];
  }
  std::vector<int64_t> index(dims.size(), 0);
  int64_t source = 0;
  for (int64_t i = 0, count = to.numElements(); i < count; ++i) {
    std::memcpy(to.bytes().data() + i * size,
                from.bytes().data() + source * size, size);
    for (size_t axis = dims.size(); axis-- > 0;) {
      source += stride[axis];
      if (++index[axis] < dims[axis])
        break;
      source -= stride[axis] * dims[axis];
      index[axis] = 0;
    }
  }
}

/// bool elements must be 0 or 1; kernels rely on it.
Status checkBools(const HostTensor &tensor) {
  for (uint8_t value : tensor.as<uint8_t>())
    if (value > 1)
      return bad("bool element with value " + std::to_string(value) +
                 ", expected 0 or 1");
  return Status::ok();
}

} // namespace

StatusOr<NpyHeader> moe::parseNpyHeader(std::string_view text) {
  return HeaderParser(text).parse();
}

std::string moe::npyHeader(DType dtype, std::span<const int64_t> dims) {
  std::string_view code;
  for (const DTypeCode &row : kDTypeCodes)
    if (row.dtype == dtype && code.empty())
      code = row.code;
  std::string shape;
  for (int64_t dim : dims)
    shape += (shape.empty() ? "" : ", ") + std::to_string(dim);
  if (dims.size() == 1)
    shape += ",";
  std::string text = "{'descr': '" + std::string(code) +
                     "', 'fortran_order': False, 'shape': (" + shape + "), }";
  constexpr size_t kPrefixBytes = 10;
  size_t unpadded = kPrefixBytes + text.size() + 1;
  text.append((64 - unpadded % 64) % 64, ' ');
  text += '\n';
  std::string header(kMagic);
  header += {'\1', '\0', static_cast<char>(text.size() & 0xff),
             static_cast<char>(text.size() >> 8)};
  return header + text;
}

StatusOr<HostTensor> moe::readNpy(ByteSource &source, std::string name) {
  MOE_ASSIGN_OR_RETURN(std::string text, readHeaderText(source));
  MOE_ASSIGN_OR_RETURN(NpyHeader header, parseNpyHeader(text));
  std::optional<uint64_t> size =
      checkedProduct(header.dims, dtypeSize(header.dtype));
  if (!size || *size != source.remaining())
    return bad("shape " + shapeText(header.dims) + " of " +
               std::string(dtypeName(header.dtype)) + " needs " +
               (size ? std::to_string(*size) : "more than 2^64") +
               " bytes, found " + std::to_string(source.remaining()));
  MOE_ASSIGN_OR_RETURN(HostTensor tensor,
                       HostTensor::create(name, header.dtype, header.dims));
  MOE_RETURN_IF_ERROR(source.read(tensor.bytes()));
  if (header.dtype == DType::Bool)
    MOE_RETURN_IF_ERROR(checkBools(tensor));
  if (!header.fortranOrder || header.dims.size() < 2)
    return tensor;
  MOE_ASSIGN_OR_RETURN(HostTensor rows,
                       HostTensor::create(name, header.dtype, header.dims));
  transposeFromFortran(tensor, rows);
  return rows;
}

StatusOr<HostTensor> moe::readNpyFile(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(InputFile file, InputFile::open(path));
  FileSource source(file, 0, file.size());
  StatusOr<HostTensor> tensor = readNpy(source, path);
  if (!tensor.isOk())
    return inFile(file, tensor.status());
  return tensor;
}
