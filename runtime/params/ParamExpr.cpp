//===- ParamExpr.cpp - Weights from files, computed in windows ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/ParamExpr.h"
#include "runtime/params/ExprCodes.h"
#include "runtime/params/ExprWindows.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/support/CheckedMath.h"

using namespace moe;

struct ParamEvaluator::Impl {
  const plan::ProgramT &tables;
  WeightFiles files;
  ExprWindows windows;
  QuantExprs quants;

  Impl(const plan::ProgramT &tables, std::vector<std::string> folders)
      : tables(tables), files(tables.files, std::move(folders)),
        windows(tables, files), quants(tables) {
    // All at once: later calls only read.
    if (!tables.param_exprs.empty())
      quants.of(static_cast<uint32_t>(tables.param_exprs.size() - 1));
  }
};

ParamEvaluator::ParamEvaluator(std::unique_ptr<Impl> impl)
    : impl(std::move(impl)) {}
ParamEvaluator::ParamEvaluator(ParamEvaluator &&) noexcept = default;
ParamEvaluator &ParamEvaluator::operator=(ParamEvaluator &&) noexcept = default;
ParamEvaluator::~ParamEvaluator() = default;

StatusOr<ParamEvaluator>
ParamEvaluator::create(const plan::ProgramT &tables,
                       std::vector<std::string> folders) {
  MOE_RETURN_IF_ERROR(verifyParamExprs(tables));
  return ParamEvaluator(std::make_unique<Impl>(tables, std::move(folders)));
}

StatusOr<uint64_t> ParamEvaluator::checkFiles() const {
  uint64_t total = 0;
  for (uint32_t i = 0; i < impl->tables.files.size(); ++i) {
    MOE_ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file,
                         impl->files.get(i));
    if (__builtin_add_overflow(total, file->size(), &total))
      return Status(StatusCode::IoError, "the sizes of the weight files "
                                         "overflow 64 bits");
  }
  return total;
}

DType ParamEvaluator::dtype(uint32_t expr) const {
  return DType(impl->windows.at(expr).dtype);
}

std::span<const int64_t> ParamEvaluator::dims(uint32_t expr) const {
  return impl->windows.at(expr).dims;
}

Status ParamEvaluator::evaluate(uint32_t expr, std::span<const int64_t> starts,
                                std::span<const int64_t> sizes,
                                std::span<std::byte> out) const {
  auto misuse = [](const char *what) {
    return Status(StatusCode::Internal,
                  std::string("window of a weight: ") + what);
  };
  if (expr >= impl->tables.param_exprs.size())
    return misuse("the expression does not exist");
  std::span<const int64_t> whole = dims(expr);
  if (starts.size() != whole.size() || sizes.size() != whole.size())
    return misuse("the rank differs");
  Window window;
  window.rank = static_cast<int>(whole.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    if (starts[i] < 0 || sizes[i] < 0 || starts[i] > whole[i] ||
        sizes[i] > whole[i] - starts[i])
      return misuse("it leaves the weight");
    window.starts[i] = starts[i];
    window.sizes[i] = sizes[i];
  }
  if (checkedProduct(sizes, dtypeSize(dtype(expr))) != out.size())
    return misuse("the memory has another size");
  return impl->windows.evaluate(expr, window, out.data());
}

Status ParamEvaluator::evaluate(uint32_t expr, std::span<std::byte> out) const {
  std::span<const int64_t> whole = dims(expr);
  return evaluate(expr, std::vector<int64_t>(whole.size(), 0), whole, out);
}

std::optional<QuantMatrix> ParamEvaluator::codes(uint32_t expr) const {
  std::optional<QuantFormat> format = impl->quants.formatOf(expr);
  if (!format)
    return std::nullopt;
  return QuantMatrix{*format, codesOfExpr(impl->tables, impl->files,
                                          impl->quants, expr, *format)};
}

Status moe::streamPacked(const ParamEvaluator &evaluator, uint32_t expr,
                         std::string_view layout, const BytesSink &sink) {
  if (std::optional<QuantFormat> format = parseQuantLayout(layout)) {
    std::optional<QuantMatrix> matrix = evaluator.codes(expr);
    if (!matrix)
      return Status(StatusCode::BadPlan,
                    "has no codes for layout '" + std::string(layout) + "'");
    if (matrix->format != *format)
      return Status(StatusCode::BadPlan,
                    "has codes for layout '" + quantLayoutName(matrix->format) +
                        "', not '" + std::string(layout) + "'");
    return streamPacked(matrix->source, *format, evaluator.dims(expr), sink);
  }
  WindowSource source = [&](std::span<const int64_t> starts,
                            std::span<const int64_t> sizes,
                            std::span<std::byte> out) {
    return evaluator.evaluate(expr, starts, sizes, out);
  };
  return streamPacked(source, evaluator.dtype(expr), evaluator.dims(expr),
                      layout, sink);
}
