//===- MoeParamAttr.cpp - Weights as expressions --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Text form and verifier of #moe.param. The verifier checks one node; those
// below were checked when they were made.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeAttrs.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/Shapes.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

// `<` kind file? (`=` value)? (`[` ints `]`)? (`(` operands `)`)? `:` type `>`
Attribute ParamAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  MLIRContext *context = parser.getContext();
  StringRef kind;
  std::string fileName;
  StringAttr file;
  Attribute value;
  SmallVector<int64_t> ints;
  SmallVector<Attribute> operands;
  RankedTensorType type;
  if (parser.parseLess() || parser.parseKeyword(&kind))
    return {};
  if (succeeded(parser.parseOptionalString(&fileName)))
    file = StringAttr::get(context, fileName);
  if (succeeded(parser.parseOptionalEqual()) && parser.parseAttribute(value))
    return {};
  auto parseInt = [&] { return parser.parseInteger(ints.emplace_back()); };
  auto parseOperand = [&] {
    return parser.parseAttribute(operands.emplace_back());
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::OptionalSquare,
                                     parseInt) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::OptionalParen,
                                     parseOperand) ||
      parser.parseColon() || parser.parseType(type) || parser.parseGreater())
    return {};
  return ParamAttr::getChecked([&] { return parser.emitError(loc); }, context,
                               StringAttr::get(context, kind), file, value,
                               ArrayRef<int64_t>(ints),
                               ArrayRef<Attribute>(operands), type);
}

void ParamAttr::print(AsmPrinter &printer) const {
  printer << "<" << getKind().getValue();
  if (getFile())
    printer << " " << getFile();
  if (getValue())
    printer << " = " << getValue();
  if (!getInts().empty()) {
    printer << " [";
    llvm::interleaveComma(getInts(), printer);
    printer << "]";
  }
  if (!getOperands().empty()) {
    printer << " (";
    llvm::interleaveComma(getOperands(), printer);
    printer << ")";
  }
  printer << " : " << getType() << ">";
}

//===----------------------------------------------------------------------===//
// Verifier
//===----------------------------------------------------------------------===//

namespace {
/// What the kinds demand of one node.
struct ParamVerifier {
  function_ref<InFlightDiagnostic()> emitError;
  StringRef kind;
  StringAttr file;
  Attribute value;
  ArrayRef<int64_t> ints;
  SmallVector<RankedTensorType> operands;
  RankedTensorType type;

  LogicalResult error(const Twine &message) const {
    return emitError() << "'" << kind << "' " << message;
  }
  LogicalResult expect(bool condition, const Twine &message) const {
    return condition ? success() : error(message);
  }
  bool has(size_t numOperands, size_t numInts) const {
    return operands.size() == numOperands && ints.size() == numInts;
  }
  bool keepsElementType() const {
    return llvm::all_of(operands, [&](RankedTensorType operand) {
      return operand.getElementType() == type.getElementType();
    });
  }
  LogicalResult verify() const;
  LogicalResult verifyFile() const;
  LogicalResult verifyValue() const;
  LogicalResult verifySlice() const;
  LogicalResult verifyJoin(bool isStack) const;
  LogicalResult verifyTake() const;
  LogicalResult verifyElementwise() const;
  LogicalResult verifyDequantize() const;
  LogicalResult verifyQuantize() const;
};
} // namespace

LogicalResult ParamVerifier::verifyFile() const {
  if (!has(0, 2) || !file || ints[0] < 0 || ints[1] < 0)
    return error("needs a file, an offset and a number of bytes");
  int64_t end, numElements, bytes;
  std::optional<int64_t> count = numElementsOf(type.getShape());
  if (llvm::AddOverflow(ints[0], ints[1], end) || !count)
    return error("has a size that overflows");
  numElements = *count;
  int64_t width = dtypeSize(*toDType(type.getElementType()));
  if (kind == "varint")
    return expect(isInteger(type.getElementType()) ||
                      type.getElementType().isInteger(1),
                  "holds integers");
  if (llvm::MulOverflow(numElements, width, bytes) || bytes != ints[1])
    return error("has " + Twine(ints[1]) + " bytes for " + Twine(numElements) +
                 " elements of " + Twine(width));
  return success();
}

LogicalResult ParamVerifier::verifyValue() const {
  if (!has(0, 0))
    return error("takes neither operands nor integers");
  if (kind == "fill") {
    auto scalar = dyn_cast_or_null<TypedAttr>(value);
    return expect(scalar && isa<FloatAttr, IntegerAttr>(scalar) &&
                      scalar.getType() == type.getElementType(),
                  "needs a value of the element type");
  }
  auto elements = dyn_cast_or_null<DenseElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return error("needs a dense value of its type");
  int64_t bytes =
      elements.getNumElements() * dtypeSize(*toDType(type.getElementType()));
  return expect(bytes <= kMaxConstantBytes, "holds more than 1 KiB");
}

LogicalResult ParamVerifier::verifySlice() const {
  size_t rank = type.getRank();
  if (!has(1, 2 * rank) || operands[0].getRank() != type.getRank())
    return error("needs one operand, and a start and step for each dimension");
  for (size_t i = 0; i < rank; ++i)
    if (!isValidSlice(operands[0].getDimSize(i), ints[i], ints[rank + i],
                      type.getDimSize(i)))
      return error("leaves its operand in dimension " + Twine(i));
  return expect(keepsElementType(), "keeps the element type");
}

LogicalResult ParamVerifier::verifyJoin(bool isStack) const {
  if (operands.empty() || ints.size() != (isStack ? 0 : 1))
    return error(isStack ? "needs operands" : "needs operands and an axis");
  int64_t axis = isStack ? 0 : ints[0];
  if (axis < 0 || axis >= type.getRank())
    return error("has an axis outside of its type");
  int64_t total = 0;
  for (RankedTensorType operand : operands) {
    SmallVector<int64_t> shape(operand.getShape());
    if (isStack)
      shape.insert(shape.begin(), 1);
    if (static_cast<int64_t>(shape.size()) != type.getRank() ||
        llvm::AddOverflow(total, shape[axis], total))
      return error("has operands of another rank or size");
    shape[axis] = type.getDimSize(axis);
    if (ArrayRef(shape) != type.getShape())
      return error("has an operand whose shape does not fit");
  }
  if (total != type.getDimSize(axis))
    return error("has " + Twine(total) + " entries along the axis, its type " +
                 Twine(type.getDimSize(axis)));
  return expect(keepsElementType(), "keeps the element type");
}

LogicalResult ParamVerifier::verifyTake() const {
  if (operands.size() != 1 || ints.empty() || ints[0] < 0 ||
      ints[0] >= type.getRank() || operands[0].getRank() != type.getRank())
    return error("needs one operand of its rank, and an axis of it");
  SmallVector<int64_t> shape(operands[0].getShape());
  int64_t size = std::exchange(shape[ints[0]], ints.size() - 1);
  for (int64_t entry : ints.drop_front())
    if (entry < 0 || entry >= size)
      return error("takes entry " + Twine(entry) + " of " + Twine(size));
  return expect(ArrayRef(shape) == type.getShape() && keepsElementType(),
                "has a type that does not fit");
}

LogicalResult ParamVerifier::verifyElementwise() const {
  bool isUnary = kind == "cast" || kind == "scale";
  if (!has(isUnary ? 1 : 2, 0))
    return error(isUnary ? "needs one operand" : "needs two operands");
  if (kind == "scale" && !isa_and_nonnull<FloatAttr>(value))
    return error("needs a float value");
  if (kind != "cast" && !keepsElementType())
    return error("keeps the element type");
  for (RankedTensorType operand : operands) {
    if (isUnary ? operand.getShape() != type.getShape()
                : !broadcastsTo(getDims(operand), getDims(type)))
      return error("has an operand whose shape does not fit");
  }
  return success();
}

// q [.., ceil(N * bits / 8)] u8, scales [.., ceil(N / block)] -> [.., N]; q and
// zero points may also have a byte for each code.
LogicalResult ParamVerifier::verifyDequantize() const {
  if (operands.size() < 2 || operands.size() > 3 || ints.size() != 2)
    return error("needs q, scales, zero points or not; bits and block");
  int64_t bits = ints[0], block = ints[1];
  if (!llvm::is_contained({2, 4, 8}, bits) || block < 0)
    return error("has " + Twine(bits) + " bits in blocks of " + Twine(block) +
                 ", expected 2, 4 or 8 in blocks of at least 0");
  if (!isa<FloatType>(type.getElementType()) || type.getRank() < 1)
    return error("gives floats of rank 1 or more");
  int64_t size = type.getShape().back();
  int64_t numBlocks = block == 0 ? 1 : llvm::divideCeil(size, block);
  auto fits = [&](RankedTensorType operand, int64_t last) {
    return operand.getRank() == type.getRank() &&
           operand.getShape().drop_back() == type.getShape().drop_back() &&
           operand.getShape().back() == last;
  };
  auto hasCodes = [&](RankedTensorType operand, int64_t n) {
    return operand.getElementType().isUnsignedInteger(8) &&
           (fits(operand, llvm::divideCeil(n * bits, 8)) || fits(operand, n));
  };
  if (size > (int64_t(1) << 56) || !hasCodes(operands[0], size))
    return error("has q of a shape or type that does not fit");
  if (!fits(operands[1], numBlocks) ||
      !isa<FloatType>(operands[1].getElementType()))
    return error("has scales of a shape or type that does not fit");
  if (operands.size() == 3 && !hasCodes(operands[2], numBlocks))
    return error("has zero points of a shape or type that does not fit");
  return success();
}

// w [.., K, N] -> [.., K, N]
LogicalResult ParamVerifier::verifyQuantize() const {
  if (!has(1, 3))
    return error("needs one operand; bits, block and 1 for zero points or 0");
  int64_t bits = ints[0], block = ints[1];
  bool isBlock = block == 16 || (block >= 0 && block % 32 == 0);
  if (!llvm::is_contained({4, 8}, bits) || !isBlock)
    return error("has " + Twine(bits) + " bits in blocks of " + Twine(block) +
                 ", expected 4 or 8 in blocks of 0, 16 or a multiple of 32");
  if (ints[2] != 0 && ints[2] != 1)
    return error("says " + Twine(ints[2]) +
                 " for zero points, expected 0 or 1");
  Type element = type.getElementType();
  if (type.getRank() < 2 ||
      !(element.isF32() || element.isF16() || element.isBF16()))
    return error("rounds matrices of f32, f16 or bf16");
  return expect(operands[0] == type, "has the type of its operand");
}

LogicalResult ParamVerifier::verify() const {
  if (kind == "file" || kind == "varint")
    return verifyFile();
  if (kind == "fill" || kind == "inline")
    return verifyValue();
  if (kind == "slice")
    return verifySlice();
  if (kind == "concat" || kind == "stack")
    return verifyJoin(kind == "stack");
  if (kind == "cast" || kind == "scale" || kind == "add" || kind == "mul")
    return verifyElementwise();
  if (kind == "dequantize")
    return verifyDequantize();
  if (kind == "quantize")
    return verifyQuantize();
  if (kind == "take")
    return verifyTake();
  if (kind == "transpose") {
    if (operands.size() != 1 || !isPermutation(ints, operands[0].getRank()))
      return error("needs one operand and a permutation of its dimensions");
    SmallVector<int64_t> shape;
    for (int64_t i : ints)
      shape.push_back(operands[0].getDimSize(i));
    return expect(ArrayRef(shape) == type.getShape() && keepsElementType(),
                  "has a type that does not fit");
  }
  if (kind == "reshape")
    return expect(has(1, 0) && keepsElementType() &&
                      numElementsOf(operands[0].getShape()) ==
                          numElementsOf(type.getShape()),
                  "needs one operand of as many elements and the same type");
  return emitError() << "unknown kind '" << kind << "'";
}

LogicalResult ParamAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                StringAttr kind, StringAttr file,
                                Attribute value, ArrayRef<int64_t> ints,
                                ArrayRef<Attribute> operands,
                                RankedTensorType type) {
  if (!type.hasStaticShape() || !toDType(type.getElementType()) ||
      !numElementsOf(type.getShape()))
    return emitError() << "has type " << type
                       << ", expected a static shape of a plan's element type";
  ParamVerifier verifier{emitError, kind.getValue(), file, value, ints, {},
                         type};
  for (Attribute operand : operands) {
    auto param = dyn_cast<ParamAttr>(operand);
    if (!param)
      return emitError() << "has operand " << operand
                         << ", expected a #moe.param";
    verifier.operands.push_back(param.getType());
  }
  return verifier.verify();
}
