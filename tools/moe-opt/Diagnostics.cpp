//===- Diagnostics.cpp - Messages about a model ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/Diagnostics.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

using namespace mlir;

namespace moe::tool {

/// The node that a location names, or nothing. Operations made from several
/// nodes name the first.
static StringRef nodeOf(Location location) {
  StringRef name;
  location->walk([&](Location inner) {
    auto named = dyn_cast<NameLoc>(inner);
    if (!named)
      return WalkResult::advance();
    name = named.getName().getValue();
    return WalkResult::interrupt();
  });
  return name;
}

static StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Note:
    return "note";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  llvm_unreachable("all severities are listed");
}

DiagnosticPrinter::DiagnosticPrinter(MLIRContext &context,
                                     std::string modelName)
    : context(context), modelName(std::move(modelName)) {
  // A message names its node; the operation behind it may be a page long.
  context.printOpOnDiagnostic(false);
  auto print = [this](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Remark && !showsRemarks)
      return;
    this->print(severityName(diagnostic.getSeverity()),
                diagnostic.getLocation(), diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes())
      this->print("note", note.getLocation(), note.str());
  };
  handler = context.getDiagEngine().registerHandler(print);
}

DiagnosticPrinter::~DiagnosticPrinter() {
  context.getDiagEngine().eraseHandler(handler);
}

void DiagnosticPrinter::print(StringRef severity, Location location,
                              StringRef text) const {
  llvm::raw_ostream &out = llvm::errs();
  out << modelName << ": " << severity << ": ";
  StringRef node = nodeOf(location);
  // The importer's messages name their node themselves, with its operator.
  if (!node.empty() && !text.starts_with("node \""))
    out << "node \"" << node << "\": ";
  out << text << "\n";
}

namespace {
class RemarkPrinter : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit RemarkPrinter(const DiagnosticPrinter &printer) : printer(printer) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    std::string text = remark.getCombinedCategoryName().str() + ":";
    for (const auto &arg : remark.getArgs())
      text += " " + (arg.key == "Remark" ? arg.val : arg.key + "=" + arg.val);
    printer.print("remark", remark.getLocation(), text);
  }

private:
  const DiagnosticPrinter &printer;
};
} // namespace

LogicalResult DiagnosticPrinter::enableRemarks(const MlirOptMainConfig &config,
                                               bool showsAll) {
  if (!config.shouldEmitRemarks() && !showsAll)
    return success();
  // A kind without a filter of its own, even an empty one, is never emitted.
  remark::RemarkCategories categories{
      config.shouldEmitRemarks() ? config.getRemarksAllFilter() : ".*",
      config.getRemarksPassedFilter(), config.getRemarksMissedFilter(),
      config.getRemarksAnalyseFilter(), config.getRemarksFailedFilter()};
  showsRemarks = true;
  return remark::enableOptimizationRemarks(
      context, std::make_unique<RemarkPrinter>(*this),
      std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
}

} // namespace moe::tool
