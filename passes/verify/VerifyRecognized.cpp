//===- VerifyRecognized.cpp - The gate behind recognition -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Checks what distribution and lowering rely on, and reports all that is not so
// at once, each with the location of its ONNX node:
//
//   * one function of one block, all of whose operations are of the moe
//     dialect and none a collective;
//   * a symbol is the size of a dimension of some argument, or a data symbol
//     that an operation before defines;
//   * moe.experts has its weights from moe.param, and rows of tokens go from
//     moe.dispatch through moe.experts to moe.combine only.
//
// Before: any imported model. After: nothing is changed; what follows may call
// a failure an error of the compiler.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/support/TensorView.h"

#include <set>
#include <string>

namespace moe::pass {
#define GEN_PASS_DEF_VERIFYRECOGNIZEDPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

namespace {

class Checker {
public:
  explicit Checker(func::FuncOp func) : func(func) {}
  bool run();

private:
  InFlightDiagnostic error(Operation *op) {
    ok = false;
    return op->emitOpError();
  }
  void collectArgumentSymbols();
  void checkOperation(Operation *op);
  void checkSymbols(Operation *op, Dims dims, StringRef what);
  void defineDataSymbols(Operation *op);
  void checkWeights(ExpertsOp op);
  void checkRows(Operation *op, Value rows);

  func::FuncOp func;
  std::set<std::string> known;
  std::set<std::string> dataSymbols;
  bool ok = true;
};

struct VerifyRecognized
    : moe::pass::impl::VerifyRecognizedPassBase<VerifyRecognized> {
  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    if (functions.size() != 1 || !functions[0].getBody().hasOneBlock()) {
      getOperation().emitError() << "expected one function of one block, found "
                                 << functions.size() << " functions";
      return signalPassFailure();
    }
    if (!Checker(functions[0]).run())
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace

/// Operations whose kernels learn a size and report it.
static bool definesDataSymbols(Operation *op) {
  return isa<DispatchOp, NonZeroOp, RangeOp>(op) ||
         (isa<TopKOp>(op) && cast<TopKOp>(op).getK()) ||
         (isa<OneHotOp>(op) && cast<OneHotOp>(op).getDepth());
}

void Checker::collectArgumentSymbols() {
  for (Type type : func.getArgumentTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      for (const DimExpr &size : getDims(tensor))
        if (std::optional<std::string> symbol = size.symbolName())
          known.insert(*symbol);
  if (auto symbols = func->getAttrOfType<DictionaryAttr>(kDataSymbols))
    for (NamedAttribute symbol : symbols)
      dataSymbols.insert(symbol.getName().str());
}

void Checker::checkSymbols(Operation *op, Dims dims, StringRef what) {
  for (const DimExpr &size : dims)
    for (const std::string &symbol : size.symbols()) {
      if (known.count(symbol))
        continue;
      // Reported once.
      known.insert(symbol);
      if (dataSymbols.count(symbol))
        error(op) << "has " << what << " of a size that only values tell ("
                  << symbol << "), which is not supported here";
      else
        error(op) << "has " << what << " of size " << symbol
                  << ", which is not the size of any input";
    }
}

void Checker::defineDataSymbols(Operation *op) {
  if (!definesDataSymbols(op))
    return;
  for (Value result : op->getResults())
    for (const DimExpr &size : getDims(result))
      if (std::optional<std::string> symbol = size.symbolName())
        if (dataSymbols.count(*symbol))
          known.insert(*symbol);
}

void Checker::checkWeights(ExpertsOp op) {
  for (Value weight :
       {op.getW1(), op.getB1(), op.getW2(), op.getB2(), op.getW3(), op.getB3()})
    if (weight && !weight.getDefiningOp<ParamOp>())
      error(op) << "has weights that are computed, expected initialisers";
}

/// Rows grouped by expert keep their order only through these.
void Checker::checkRows(Operation *op, Value rows) {
  for (Operation *user : rows.getUsers())
    if (!isa<ExpertsOp, CombineOp, UnaryOp, BinaryOp, CastOp, ElementwiseOp>(
            user))
      error(user) << "uses rows of tokens grouped by expert";
}

void Checker::checkOperation(Operation *op) {
  bool isCollective = isa<AllToAllOp, AllToAllBackOp, AllGatherOp, ShardOp,
                          AllReduceOp, ReduceScatterOp>(op);
  if (!isa<MoeDialect>(op->getDialect()) || isCollective) {
    error(op) << "is not supported";
    return;
  }
  defineDataSymbols(op);
  for (Value result : op->getResults()) {
    RankedTensorType type = getTensorType(result);
    if (type.getRank() > kMaxRank)
      error(op) << "has " << type.getRank() << " dimensions, expected at most "
                << kMaxRank;
    checkSymbols(op, getDims(type), "a result");
  }
  for (NamedAttribute attr : op->getAttrs())
    if (auto dims = dyn_cast<DimsAttr>(attr.getValue()))
      checkSymbols(op, Dims(dims.getDims()), attr.getName().strref());
  if (auto experts = dyn_cast<ExpertsOp>(op)) {
    checkWeights(experts);
    checkRows(op, experts.getResult());
  }
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    checkRows(op, dispatch.getRows());
}

bool Checker::run() {
  collectArgumentSymbols();
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !isSized(tensor) || tensor.getRank() > kMaxRank)
      error(func) << "has argument " << i << " of type " << type
                  << ", expected a sized tensor of at most " << kMaxRank
                  << " dimensions";
    else
      checkSymbols(func, getDims(tensor), "an argument");
  }
  for (Operation &op : func.front().without_terminator())
    checkOperation(&op);
  return ok;
}
