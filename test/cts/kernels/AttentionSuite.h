//===- AttentionSuite.h - attention by its definition -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps of attention with random operands, and what they must give.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_CTS_KERNELS_ATTENTIONSUITE_H
#define MOE_TEST_CTS_KERNELS_ATTENTIONSUITE_H

#include "test/cts/kernels/KernelRunner.h"

#include <cmath>

namespace moe::test::attention {

struct Config {
  int64_t B = 2, H = 4, KV = 2, S = 5, T = 9, D = 16, Dv = 16;
  double scale = 0.3, fill = -INFINITY, softcap = 0;
  bool causal = false;
  int64_t window = 0;
  DType dtype = DType::F32;
};

struct Operands {
  Tensor q, k, v, mask = Tensor::absent(), sink = Tensor::absent(),
                  lengths = Tensor::absent();
  Operands(const Config &c, std::mt19937 &rng)
      : q(Tensor::random(c.dtype, {c.B, c.H, c.S, c.D}, rng)),
        k(Tensor::random(c.dtype, {c.B, c.KV, c.T, c.D}, rng)),
        v(Tensor::random(c.dtype, {c.B, c.KV, c.T, c.Dv}, rng)) {}
};

/// Element [b, h, i, j] of a mask that broadcasts.
inline double maskAt(const Tensor &mask, std::vector<int64_t> index) {
  int64_t linear = 0;
  int missing = 4 - mask.view.rank;
  for (int d = 0; d < mask.view.rank; ++d)
    linear = linear * mask.view.dims[d] +
             (mask.view.dims[d] == 1 ? 0 : index[missing + d]);
  return mask.at(linear);
}

/// By the definition, in f64.
inline Tensor reference(const Config &c, const Operands &o) {
  Tensor y = Tensor::zeros(DType::F64, {c.B, c.H, c.S, c.Dv});
  for (int64_t b = 0; b < c.B; ++b)
    for (int64_t h = 0; h < c.H; ++h)
      for (int64_t i = 0; i < c.S; ++i) {
        int64_t kv = b * c.KV + h / (c.H / c.KV);
        int64_t row = (b * c.H + h) * c.S + i;
        int64_t length = o.lengths.view.present()
                             ? static_cast<int64_t>(o.lengths.at(b))
                             : c.T;
        std::vector<double> p(c.T);
        double largest = -INFINITY, sum = 0;
        for (int64_t j = 0; j < c.T; ++j) {
          double s = 0;
          for (int64_t d = 0; d < c.D; ++d)
            s += o.q.at(row * c.D + d) * o.k.at((kv * c.T + j) * c.D + d);
          s *= c.scale;
          if (c.softcap > 0)
            s = c.softcap * std::tanh(s / c.softcap);
          if (o.mask.view.present()) {
            double m = maskAt(o.mask, {b, h, i, j});
            if (o.mask.view.dtype != DType::Bool)
              s += m;
            else if (m == 0)
              s = c.fill;
          }
          int64_t self = length - c.S + i;
          if (j >= length || (c.causal && j > self) ||
              (c.window > 0 && j <= self - c.window))
            s = -INFINITY;
          p[j] = s;
          largest = std::fmax(largest, s);
        }
        if (o.sink.view.present())
          largest = std::fmax(largest, o.sink.at(h));
        if (largest == -INFINITY)
          continue;
        for (double &s : p)
          sum += s = std::exp(s - largest);
        if (o.sink.view.present())
          sum += std::exp(o.sink.at(h) - largest);
        for (int64_t d = 0; d < c.Dv; ++d) {
          double value = 0;
          for (int64_t j = 0; j < c.T; ++j)
            if (p[j] != 0) // else it adds nothing, whatever its value holds
              value += p[j] * o.v.at((kv * c.T + j) * c.Dv + d);
          y.set(row * c.Dv + d, value / sum);
        }
      }
  return y;
}

class AttentionTest : public KernelTest {
protected:
  void runOn(KernelRunner &runner, const Config &c, const Operands &o,
             Tensor &y) {
    runner.step("attention").with("scale", c.scale).with("mask_fill", c.fill);
    runner.with("softcap", c.softcap).with("causal", c.causal ? 1 : 0);
    runner.with("window", c.window);
    runner.run({&o.q, &o.k, &o.v, &o.mask, &o.sink, &o.lengths}, {&y});
  }
  Tensor compute(const Config &c, const Operands &o) {
    Tensor y = Tensor::zeros(c.dtype, {c.B, c.H, c.S, c.Dv});
    runOn(runner, c, o, y);
    return y;
  }
  void check(const Config &c, const Operands &o) {
    double tolerance = c.dtype == DType::F32   ? 1e-5
                       : c.dtype == DType::F16 ? 2e-3
                                               : 1e-2;
    expectClose(compute(c, o), reference(c, o), tolerance, tolerance);
  }
};

} // namespace moe::test::attention

#endif // MOE_TEST_CTS_KERNELS_ATTENTIONSUITE_H
