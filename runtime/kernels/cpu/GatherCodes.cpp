//===- GatherCodes.cpp - gather_codes: rows of a table of integers --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As gather, of data that nobody has made floats of: only the rows that are
// looked up are, (code - zero) * scale in f32, rounded once to the type of the
// scales. The operands are those of `dequantize` (runtime/params/ParamExpr.h):
//
//   codes   [.., ceil(size * bits / 8)] u8, low bits first, or [.., size]
//   indices
//   scales  [.., ceil(size / block)] of the type of the result
//   zeros   like the codes, one for each scale; absent: 2^(bits - 1)
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Gather.h"
#include "runtime/kernels/cpu/Indices.h"
#include "runtime/params/Elements.h"
#include "runtime/params/Quantize.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>
#include <limits>

namespace moe::cpu {

/// Numbers that are made at once where the result is no f32.
static constexpr int64_t kChunk = 256;

static int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }

namespace {

/// Rows of integers of `bits` bits, or of a byte each.
struct PackedRows {
  const uint8_t *data = nullptr;
  int64_t bytes = 0; ///< of a row
  int bits = 8;      ///< from one to the next
  uint8_t mask = 0xff;

  uint8_t at(int64_t row, int64_t i) const {
    int64_t bit = i * bits;
    return static_cast<uint8_t>(data[row * bytes + bit / 8] >> (bit % 8)) &
           mask;
  }
};

/// What one run reads.
struct CodedTable {
  PackedRows codes, zeros; ///< zeros.data is null if they are absent
  const std::byte *scales = nullptr;
  DType type = DType::F32; ///< of scales and numbers
  int64_t size = 0, block = 0, numBlocks = 0;
  int middle = 0;

  BlockScale scaleOf(int64_t row, int64_t blockIndex) const;
  /// The numbers [first, first + count) of a row, as f32.
  void decode(int64_t row, int64_t first, int64_t count, float *to) const;
  /// The same in the type of the result.
  void write(int64_t row, int64_t first, int64_t count, std::byte *to) const;
};

class GatherCodesKernel : public TableKernel {
public:
  struct Config {
    int64_t axis = 0, size = 0, bits = 0, block = 0;
    std::string part;
  };
  GatherCodesKernel(const KernelSpec &spec, const Isa &isa, Config config)
      : TableKernel(spec, isa, config.part), config(std::move(config)) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<PackedRows> packedRows(const TensorView &view, int64_t size,
                                  const char *what) const;
  StatusOr<CodedTable> tableOf(const KernelArgs &args) const;
  void gatherRows(const CodedTable &table, const IndexReader &reader,
                  const Range &range, int64_t outer, int64_t picks,
                  int64_t inner, std::byte *to, StepContext &context) const;

  Config config;
};

} // namespace

BlockScale CodedTable::scaleOf(int64_t row, int64_t blockIndex) const {
  int64_t at = row * numBlocks + blockIndex;
  BlockScale result;
  convertElements(type, scales + at * static_cast<int64_t>(dtypeSize(type)),
                  DType::F32, reinterpret_cast<std::byte *>(&result.scale), 1);
  result.zero = zeros.data ? zeros.at(row, blockIndex) : middle;
  return result;
}

void CodedTable::decode(int64_t row, int64_t first, int64_t count,
                        float *to) const {
  for (int64_t i = 0; i < count;) {
    int64_t blockIndex = (first + i) / block;
    int64_t end = std::min(count, (blockIndex + 1) * block - first);
    BlockScale scale = scaleOf(row, blockIndex);
    for (; i < end; ++i)
      to[i] = dequantized(codes.at(row, first + i), scale);
  }
}

void CodedTable::write(int64_t row, int64_t first, int64_t count,
                       std::byte *to) const {
  if (type == DType::F32)
    return decode(row, first, count, reinterpret_cast<float *>(to));
  float numbers[kChunk];
  for (int64_t i = 0; i < count; i += kChunk) {
    int64_t part = std::min(kChunk, count - i);
    decode(row, first + i, part, numbers);
    convertElements(DType::F32, reinterpret_cast<std::byte *>(numbers), type,
                    to + i * static_cast<int64_t>(dtypeSize(type)), part);
  }
}

/// `size` integers in each row of `view`, packed or not.
StatusOr<PackedRows> GatherCodesKernel::packedRows(const TensorView &view,
                                                   int64_t size,
                                                   const char *what) const {
  MOE_RETURN_IF_ERROR(expectContiguous(view, what));
  MOE_RETURN_IF_ERROR(expectDType(view, DType::U8, what));
  PackedRows rows;
  rows.data = reinterpret_cast<const uint8_t *>(blockData(view));
  rows.bytes = view.dims[view.rank - 1];
  rows.mask = static_cast<uint8_t>((1 << config.bits) - 1);
  if (rows.bytes == size)
    return rows;
  rows.bits = static_cast<int>(config.bits);
  if (rows.bytes != ceilDiv(size * config.bits, 8))
    return badPlan(std::string(what) + " of shape " + shapeText(view) +
                   " do not hold " + std::to_string(size) + " integers of " +
                   std::to_string(config.bits) + " bits in a row");
  return rows;
}

StatusOr<CodedTable> GatherCodesKernel::tableOf(const KernelArgs &args) const {
  const TensorView &codes = args.inputs[0], &scales = args.inputs[2];
  const TensorView &zeros = inputOrAbsent(args, 3);
  if (codes.rank < 1)
    return badPlan("codes of rank 0");
  CodedTable table;
  table.size = config.size;
  table.block = config.block == 0 ? config.size : config.block;
  table.numBlocks = ceilDiv(table.size, table.block);
  table.middle = 1 << (config.bits - 1);
  table.type = scales.dtype;
  if (table.type != DType::F32 && table.type != DType::F16 &&
      table.type != DType::BF16)
    return badPlan("scales of type " + std::string(dtypeName(table.type)));
  MOE_ASSIGN_OR_RETURN(table.codes, packedRows(codes, table.size, "codes"));
  MOE_RETURN_IF_ERROR(expectContiguous(scales, "scales"));
  auto haveRowsOfCodes = [&](const TensorView &view) {
    return view.rank == codes.rank &&
           std::equal(view.dims, view.dims + view.rank - 1, codes.dims);
  };
  if (!haveRowsOfCodes(scales) ||
      scales.dims[scales.rank - 1] != table.numBlocks)
    return badPlan("scales of shape " + shapeText(scales) +
                   " do not fit codes of shape " + shapeText(codes) + ", " +
                   std::to_string(table.numBlocks) + " blocks a row");
  table.scales = blockData(scales);
  if (!zeros.present())
    return table;
  if (!haveRowsOfCodes(zeros))
    return badPlan("zero points of shape " + shapeText(zeros) +
                   " do not fit codes of shape " + shapeText(codes));
  MOE_ASSIGN_OR_RETURN(table.zeros,
                       packedRows(zeros, table.numBlocks, "zero points"));
  return table;
}

/// result[o, j, m, :] = table[o, indices[j], m, :]
void GatherCodesKernel::gatherRows(const CodedTable &table,
                                   const IndexReader &reader,
                                   const Range &range, int64_t outer,
                                   int64_t picks, int64_t inner, std::byte *to,
                                   StepContext &context) const {
  int64_t rowBytes = table.size * static_cast<int64_t>(dtypeSize(table.type));
  forRange(
      context.pool, outer * picks * inner, static_cast<double>(table.size) + 8,
      [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t pick = i / inner, o = pick / picks;
          int64_t index = reader.at(pick % picks, range.whole);
          std::byte *row = to + i * rowBytes;
          if (!range.has(index)) {
            std::memset(row, 0, rowBytes);
            continue;
          }
          int64_t entry = o * (range.end - range.begin) + index - range.begin;
          table.write(entry * inner + i % inner, 0, table.size, row);
        }
      });
}

Status GatherCodesKernel::run(const KernelArgs &args,
                              StepContext &context) const {
  const TensorView &codes = args.inputs[0], &indices = args.inputs[1];
  const TensorView &out = args.outputs[0];
  MOE_ASSIGN_OR_RETURN(CodedTable table, tableOf(args));
  int axis = normalAxis(config.axis, codes.rank), last = codes.rank - 1;
  if (axis < 0 || (axis == last && !part.empty()))
    return badPlan("axis " + std::to_string(config.axis) + " of " +
                   shapeText(codes));
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  MOE_RETURN_IF_ERROR(expectDType(out, table.type, "result"));
  bool isAlongRows = axis == last;
  int64_t outer = productOf(codes, 0, axis);
  int64_t picks = productOf(indices, 0, indices.rank);
  int64_t inner = isAlongRows ? 1 : productOf(codes, axis + 1, last);
  if (out.numElements() !=
      outer * picks * (isAlongRows ? 1 : inner * table.size))
    return badPlan("the result of shape " + shapeText(out) +
                   " does not fit codes " + shapeText(codes) + " and indices " +
                   shapeText(indices));
  if (out.numElements() == 0)
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(
      Range range,
      rangeOf(context, isAlongRows ? table.size : codes.dims[axis]));
  IndexReader reader(indices);
  MOE_RETURN_IF_ERROR(reader.checkAll(range.whole, name));
  auto *to = out.as<std::byte>();
  if (!isAlongRows) {
    gatherRows(table, reader, range, outer, picks, inner, to, context);
    return Status::ok();
  }
  auto bytes = static_cast<int64_t>(dtypeSize(table.type));
  forRange(context.pool, outer * picks, 8,
           [&](int64_t begin, int64_t end, int) {
             for (int64_t i = begin; i < end; ++i)
               table.write(i / picks, reader.at(i % picks, table.size), 1,
                           to + i * bytes);
           });
  return Status::ok();
}

StatusOr<std::unique_ptr<Kernel>> createGatherCodes(const KernelSpec &spec,
                                                    const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 3, 4, 1));
  StepAttributes attributes(spec.step);
  GatherCodesKernel::Config config;
  MOE_ASSIGN_OR_RETURN(config.axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(config.size, attributes.getInt("size"));
  MOE_ASSIGN_OR_RETURN(config.bits, attributes.getInt("bits"));
  MOE_ASSIGN_OR_RETURN(config.block, attributes.getInt("block"));
  MOE_ASSIGN_OR_RETURN(config.part, attributes.getString("part", ""));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  bool areBitsKnown = config.bits == 2 || config.bits == 4 || config.bits == 8;
  if (!areBitsKnown || config.block < 0 || config.size < 1 ||
      config.size > std::numeric_limits<int64_t>::max() / 8)
    return Status(StatusCode::BadPlan,
                  spec.step.kernel + ": " + std::to_string(config.size) +
                      " integers of " + std::to_string(config.bits) +
                      " bits in blocks of " + std::to_string(config.block));
  return std::unique_ptr<Kernel>(
      std::make_unique<GatherCodesKernel>(spec, isa, std::move(config)));
}

} // namespace moe::cpu
