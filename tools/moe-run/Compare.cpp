//===- Compare.cpp - Found outputs against expected ones ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/Compare.h"

#include "runtime/io/Utf8.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace moe;
using namespace moe::tools;

static constexpr size_t kMaxShownInTensor = 5;
static constexpr size_t kMaxShown = 20;

static std::string numberText(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

/// "[1, 0, 5]" of element number 25 or whatever.
static std::string indexText(int64_t element, std::vector<int64_t> dims) {
  for (size_t axis = dims.size(); axis-- > 0;) {
    int64_t size = dims[axis];
    dims[axis] = element % size;
    element /= size;
  }
  return shapeText(dims);
}

/// |found - expected|; 0 for what agrees without being subtracted, infinity
/// where one is not finite and the other differs.
static double errorOf(double found, double expected) {
  if (found == expected || (std::isnan(found) && std::isnan(expected)))
    return 0;
  double error = std::fabs(found - expected);
  return std::isfinite(error) ? error : HUGE_VAL;
}

void tools::compare(const HostTensor &found, const HostTensor &expected,
                    const Tolerance &tolerance, Comparison &result) {
  std::string name = "output \"" + printableUtf8(found.name()) + "\"";
  if (found.dims() != expected.dims()) {
    ++result.misshapen;
    result.differences.push_back(name + " has shape " +
                                 shapeText(found.dims()) + ", expected " +
                                 shapeText(expected.dims()));
    return;
  }
  size_t shown = 0;
  for (int64_t i = 0, count = found.numElements(); i < count; ++i) {
    double a = elementAsDouble(found, i), b = elementAsDouble(expected, i);
    double error = errorOf(a, b);
    ++result.elements;
    result.maxAbsoluteError = std::max(result.maxAbsoluteError, error);
    if (b != 0 && error > 0)
      result.maxRelativeError =
          std::max(result.maxRelativeError,
                   std::isfinite(b) ? error / std::fabs(b) : HUGE_VAL);
    double allowed = tolerance.absolute;
    if (std::isfinite(b))
      allowed += tolerance.relative * std::fabs(b);
    if (error <= allowed)
      continue;
    ++result.differing;
    if (shown++ < kMaxShownInTensor && result.differences.size() < kMaxShown)
      result.differences.push_back(name + indexText(i, found.dims()) +
                                   ": found " + numberText(a) + ", expected " +
                                   numberText(b));
  }
}

std::string Comparison::summary() const {
  std::string text = std::to_string(differing) + " of " +
                     std::to_string(elements) + " elements differ";
  if (misshapen > 0)
    text += ", " + std::to_string(misshapen) + " outputs have another shape";
  return text + "; largest absolute error " + numberText(maxAbsoluteError) +
         ", largest relative error " + numberText(maxRelativeError);
}
