//===- VectorMathTest.cpp - Accuracy of the f32 functions -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <cmath>
#include <functional>

using namespace moe;
using namespace moe::cpu;

namespace {

struct Function {
  const char *name;
  std::function<double(double)> reference;
  double low, high;
  double ulps;     ///< allowed, in units of the last place
  double absolute; ///< or this absolute error
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const Function kFunctions[] = {
    {"exp", [](double x) { return std::exp(x); }, -103, 88.7, 2, 1.5e-45},
    {"log", [](double x) { return std::log(x); }, 1e-42, 1e30, 2, 0},
    {"log", [](double x) { return std::log(x); }, 0.5, 2, 2, 0},
    {"tanh", [](double x) { return std::tanh(x); }, -12, 12, 3, 0},
    {"tanh", [](double x) { return std::tanh(x); }, -1e-3, 1e-3, 2, 0},
    {"sigmoid", sigmoid, -100, 100, 3.5, 1.5e-45},
    {"erf", [](double x) { return std::erf(x); }, -5, 5, 3, 0},
    {"erf", [](double x) { return std::erf(x); }, -1e-3, 1e-3, 2, 0},
    {"sin", [](double x) { return std::sin(x); }, -1e5, 1e5, 1.5, 0},
    {"cos", [](double x) { return std::cos(x); }, -1e5, 1e5, 1.5, 0},
    {"softplus", [](double x) { return std::log1p(std::exp(x)); }, -80, 80, 4,
     0},
    {"silu", [](double x) { return x * sigmoid(x); }, -80, 80, 4.5, 0},
    {"quick_gelu", [](double x) { return x * sigmoid(1.702 * x); }, -8, 8, 16,
     0},
    // 1 + erf(x) cancels for negative x: the error is relative to x.
    {"gelu_erf", [](double x) { return x * std::erfc(-x * M_SQRT1_2) / 2; }, -6,
     6, 4, 2.5e-7},
    {"gelu_tanh",
     [](double x) {
       return x / 2 *
              (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
     },
     -6, 6, 4, 2.5e-7},
    {"rsqrt", [](double x) { return 1 / std::sqrt(x); }, 1e-30, 1e30, 1.5, 0},
};

class VectorMath : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    isa = findIsa(GetParam());
    if (!isa || !isa->isSupported())
      GTEST_SKIP() << "this machine lacks " << GetParam();
  }
  std::vector<float> apply(const char *name, std::vector<float> x) {
    size_t count = x.size();
    x.resize((count + 15) / 16 * 16);
    std::vector<float> y(x.size());
    TileFunction function =
        isa->unaryTile(*parseElementwiseOp(name), RegisterKind::F32);
    function(x.data(), nullptr, nullptr, y.data(),
             static_cast<int64_t>(x.size()));
    y.resize(count);
    return y;
  }
  const Isa *isa;
};

TEST_P(VectorMath, FunctionsAreAccurate) {
  std::mt19937 rng(1);
  for (const Function &f : kFunctions) {
    std::vector<float> x;
    // Half of the arguments are spread evenly, half over the magnitudes.
    std::uniform_real_distribution<double> even(f.low, f.high);
    for (int i = 0; i < 100000; ++i)
      x.push_back(static_cast<float>(even(rng)));
    for (int i = 0; i < 100000; ++i) {
      double magnitude =
          std::exp2(-30 * std::generate_canonical<double, 32>(rng));
      x.push_back(static_cast<float>(f.low + (f.high - f.low) * magnitude));
    }
    std::vector<float> y = apply(f.name, x);
    double worst = 0;
    float worstX = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double expected = f.reference(x[i]);
      float rounded = std::fabs(static_cast<float>(expected));
      double ulp = std::nextafter(rounded, INFINITY) - rounded;
      double error = std::fabs(y[i] - expected);
      if (error > f.absolute && error / ulp > worst) {
        worst = error / ulp;
        worstX = x[i];
      }
    }
    EXPECT_LE(worst, f.ulps) << f.name << "(" << worstX << ")";
  }
}

TEST_P(VectorMath, SpecialValues) {
  const float inf = INFINITY, nan = NAN;
  struct Case {
    const char *name;
    float x, y;
  };
  for (const Case &c : std::initializer_list<Case>{
           {"exp", inf, inf},      {"exp", -inf, 0},
           {"exp", nan, nan},      {"exp", 0, 1},
           {"exp", 1000, inf},     {"log", 0, -inf},
           {"log", -1, nan},       {"log", inf, inf},
           {"log", nan, nan},      {"log", 1, 0},
           {"tanh", inf, 1},       {"tanh", -inf, -1},
           {"tanh", nan, nan},     {"sigmoid", inf, 1},
           {"sigmoid", -inf, 0},   {"sigmoid", nan, nan},
           {"erf", inf, 1},        {"erf", -inf, -1},
           {"erf", nan, nan},      {"relu", nan, nan},
           {"relu", -inf, 0},      {"sin", nan, nan},
           {"cos", inf, nan},      {"cos", 0, 1},
           {"softplus", inf, inf}, {"softplus", -inf, 0},
           {"sqrt", -1, nan},      {"sin", 3e6f, std::sin(3e6f)}}) {
    float y = apply(c.name, {c.x})[0];
    if (std::isnan(c.y))
      EXPECT_TRUE(std::isnan(y)) << c.name << "(" << c.x << ") = " << y;
    else
      EXPECT_EQ(y, c.y) << c.name << "(" << c.x << ")";
  }
}

TEST_P(VectorMath, ValuesDoNotDependOnTheLane) {
  std::mt19937 rng(2);
  std::normal_distribution<float> normal(0, 3);
  for (const Function &f : kFunctions) {
    float x = std::fabs(normal(rng));
    std::vector<float> all = apply(f.name, std::vector<float>(19, x));
    for (float y : all)
      EXPECT_EQ(y, all[0]) << f.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, VectorMath,
                         testing::Values("portable", "avx2", "avx512"),
                         [](const auto &info) { return info.param; });

} // namespace
