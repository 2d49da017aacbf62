//===- Rows.cpp - Softmax, norms and sums of rows -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last vector of a row is filled up with a neutral element, so every
// element takes the same instructions wherever it stands.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/VecMath.h"

#include <utility>

namespace moe::cpu::MOE_ISA {

static constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// y[i] = f(x[i]), for vectors of both widths.
template <typename F>
static MOE_INLINE void mapRow(const float *x, float *y, int64_t count, F f) {
  int64_t i = 0;
  for (; i + kWideLanes <= count; i += kWideLanes)
    store(y + i, f(loadWide(x + i)));
  for (; i + kLanes <= count; i += kLanes)
    store(y + i, f(load(x + i)));
  if (i < count)
    storePartial(y + i, f(loadPartial(x + i, count - i)), count - i);
}

/// The sum of f(x[i]) in a fixed order: 32 chains that are merged at the end.
/// `neutral` is an x for which f is 0.
template <typename F>
static MOE_INLINE float sumRow(const float *x, int64_t count, float neutral,
                               F f) {
  F32x8 acc[4] = {splat(0), splat(0), splat(0), splat(0)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j)
      acc[j] += f(load(x + i + j * kLanes));
  for (int j = 0; i < count; ++j, i += kLanes)
    acc[j] += f(i + kLanes <= count ? load(x + i)
                                    : loadPartial(x + i, count - i, neutral));
  return sumLanes((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

static float maxRow(const float *x, int64_t count) {
  F32x8 largest = splat(-kInfinity);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    largest = maxOf(load(x + i), largest);
  if (i < count)
    largest = maxOf(loadPartial(x + i, count - i, -kInfinity), largest);
  return maxLanes(largest);
}

void softmaxRow(const float *x, float *y, int64_t count, bool log) {
  const float largest = maxRow(x, count);
  if (log) {
    float sum = sumRow(x, count, -kInfinity,
                       [&](auto v) { return expOfNegative(v - largest); });
    const float logSum = logOf(splat(sum))[0];
    return mapRow(x, y, count, [&](auto v) { return (v - largest) - logSum; });
  }
  mapRow(x, y, count, [&](auto v) { return expOfNegative(v - largest); });
  const float sum = sumRow(y, count, 0, [](auto v) { return v; });
  mapRow(y, y, count, [&](auto v) { return v / sum; });
}

/// y[i] = (x[i] - mean) * factor * scale[i] + bias[i].
static void affineRow(const float *x, const float *scale, const float *bias,
                      float mean, float factor, float *y, int64_t count) {
  const F32x8 m = splat(mean), f = splat(factor);
  for (int64_t i = 0; i < count; i += kLanes) {
    int64_t lanes = count - i;
    bool isFull = lanes >= kLanes;
    auto read = [&](const float *p) {
      return isFull ? load(p + i) : loadPartial(p + i, lanes);
    };
    F32x8 v = (read(x) - m) * f;
    if (scale)
      v *= read(scale);
    if (bias)
      v += read(bias);
    if (isFull)
      store(y + i, v);
    else
      storePartial(y + i, v, lanes);
  }
}

void layerNormRow(const float *x, const float *scale, const float *bias,
                  float epsilon, float *y, int64_t count) {
  float size = static_cast<float>(count);
  float mean = sumRow(x, count, 0, [](F32x8 v) { return v; }) / size;
  const F32x8 m = splat(mean);
  float variance = sumRow(x, count, mean,
                          [&](F32x8 v) {
                            F32x8 d = v - m;
                            return d * d;
                          }) /
                   size;
  affineRow(x, scale, bias, mean, 1.0f / std::sqrt(variance + epsilon), y,
            count);
}

void rmsNormRow(const float *x, const float *scale, const float *bias,
                float epsilon, float *y, int64_t count) {
  float mean = sumRow(x, count, 0, [](F32x8 v) { return v * v; }) /
               static_cast<float>(count);
  affineRow(x, scale, bias, 0, 1.0f / std::sqrt(mean + epsilon), y, count);
}

void sigmoidRow(const float *x, float *y, int64_t count) {
  mapRow(x, y, count, [](auto v) { return sigmoidOf(v); });
}

void scaleRow(float a, const float *x, float *y, int64_t count) {
  mapRow(x, y, count, [a](auto v) { return a * v; });
}

void axpyRow(float a, const float *x, float *y, int64_t count) {
  const F32x8 factor = splat(a);
  const Wide wideFactor = splat<Wide>(a);
  int64_t i = 0;
  for (; i + kWideLanes <= count; i += kWideLanes)
    store(y + i, fma(wideFactor, loadWide(x + i), loadWide(y + i)));
  for (; i + kLanes <= count; i += kLanes)
    store(y + i, fma(factor, load(x + i), load(y + i)));
  if (i < count)
    storePartial(y + i,
                 fma(factor, loadPartial(x + i, count - i),
                     loadPartial(y + i, count - i)),
                 count - i);
}

/// Pairs of neighbours; four of them in a vector.
static void rotateNeighbours(const float *x, const float *cos, const float *sin,
                             float *y, int64_t pairs) {
  auto twice = [](const float *p) __attribute__((always_inline)) {
    F32x4 v;
    std::memcpy(&v, p, sizeof v);
    return __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3);
  };
  const F32x8 signs = {-1, 1, -1, 1, -1, 1, -1, 1};
  int64_t i = 0;
  for (; i + 4 <= pairs; i += 4) {
    F32x8 v = load(x + 2 * i);
    F32x8 other = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
    store(y + 2 * i, v * twice(cos + i) + signs * (other * twice(sin + i)));
  }
  for (; i < pairs; ++i) {
    float a = x[2 * i], b = x[2 * i + 1];
    y[2 * i] = a * cos[i] - b * sin[i];
    y[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}

void rotateRow(const float *x, const float *cos, const float *sin, float *y,
               int64_t pairs, bool interleaved) {
  if (interleaved)
    return rotateNeighbours(x, cos, sin, y, pairs);
  auto rotate = [&](int64_t i, auto read) __attribute__((always_inline)) {
    auto a = read(x + i), b = read(x + pairs + i);
    auto c = read(cos + i), s = read(sin + i);
    return std::pair(a * c - b * s, b * c + a * s);
  };
  int64_t i = 0;
  for (; i + kWideLanes <= pairs; i += kWideLanes) {
    auto [a, b] = rotate(i, [](const float *p) { return loadWide(p); });
    store(y + i, a);
    store(y + pairs + i, b);
  }
  for (; i + kLanes <= pairs; i += kLanes) {
    auto [a, b] = rotate(i, [](const float *p) { return load(p); });
    store(y + i, a);
    store(y + pairs + i, b);
  }
  for (; i < pairs; ++i) {
    auto [a, b] = rotate(i, [](const float *p) { return *p; });
    y[i] = a;
    y[pairs + i] = b;
  }
}

template <typename F>
static void activateWith(const float *gate, const float *linear, float *out,
                         int64_t count, F f) {
  int64_t i = 0;
  for (; i + kWideLanes <= count; i += kWideLanes) {
    Wide v = f(loadWide(gate + i));
    store(out + i, linear ? v * loadWide(linear + i) : v);
  }
  for (; i < count; i += kLanes) {
    F32x8 v = f(load(gate + i));
    store(out + i, linear ? v * load(linear + i) : v);
  }
}

void activate(const ActivationArgs &args, const float *gate,
              const float *linear, float *out, int64_t count) {
  auto apply = [&](auto f) { activateWith(gate, linear, out, count, f); };
  switch (args.kind) {
  case Activation::Identity:
    return apply([](auto v) { return v; });
  case Activation::Relu:
    return apply([](auto v) { return reluOf(v); });
  case Activation::Relu2:
    return apply([](auto v) { return reluOf(v) * reluOf(v); });
  case Activation::GeluErf:
    return apply([](auto v) { return geluErfOf(v); });
  case Activation::GeluTanh:
    return apply([](auto v) { return geluTanhOf(v); });
  case Activation::Silu:
    return apply([](auto v) { return siluOf(v); });
  case Activation::Sigmoid:
    return apply([](auto v) { return sigmoidOf(v); });
  case Activation::Tanh:
    return apply([](auto v) { return tanhOf(v); });
  case Activation::Swiglu:
    for (int64_t i = 0; i < count; i += kLanes) {
      const F32x8 limit = splat(args.limit);
      F32x8 g = minOf(limit, load(gate + i));
      F32x8 l = maxOf(-limit, minOf(limit, load(linear + i)));
      store(out + i, g * sigmoidOf(args.alpha * g) * (l + args.beta));
    }
  }
}

} // namespace moe::cpu::MOE_ISA
