//===- AttentionTest.cpp - attention, rotary ------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/AttentionSuite.h"

using namespace moe;
using namespace moe::test;
using namespace moe::test::attention;

namespace {

class Attention : public AttentionTest {};

TEST_P(Attention, Shapes) {
  for (auto [S, T] : {std::pair<int64_t, int64_t>{1, 1},
                      {1, 64},
                      {1, 65},
                      {1, 300},
                      {7, 7},
                      {64, 64},
                      {33, 130},
                      {0, 4},
                      {3, 0}})
    for (auto [D, Dv] : {std::pair<int64_t, int64_t>{16, 16},
                         {28, 28},
                         {64, 64},
                         {24, 10},
                         {5, 40}})
      for (bool causal : {false, true}) {
        SCOPED_TRACE(std::to_string(S) + " " + std::to_string(T) + " " +
                     std::to_string(D) + " " + std::to_string(Dv));
        Config c{.S = S, .T = T, .D = D, .Dv = Dv, .causal = causal};
        check(c, Operands(c, rng));
      }
}

TEST_P(Attention, HeadsPerGroup) {
  for (auto [H, KV] : {std::pair<int64_t, int64_t>{6, 1}, {6, 6}, {8, 2}}) {
    Config c{.H = H, .KV = KV, .S = 20, .T = 70, .causal = true};
    check(c, Operands(c, rng));
  }
}

TEST_P(Attention, Masks) {
  Config c{.S = 6, .T = 70};
  Operands o(c, rng);
  for (std::vector<int64_t> dims : {std::vector<int64_t>{2, 4, 6, 70},
                                    {2, 1, 1, 70},
                                    {1, 1, 6, 70},
                                    {70},
                                    {6, 1}}) {
    o.mask = Tensor::random(DType::F32, dims, rng);
    check(c, o);
    o.mask = Tensor::random(DType::Bool, dims, rng);
    for (double fill : {-HUGE_VAL, -1e9, -3.0}) {
      c.fill = fill;
      check(c, o);
    }
  }
  o.mask = Tensor::random(DType::F16, {6, 70}, rng);
  check(c, o);
}

TEST_P(Attention, RowsThatSeeNothing) {
  Config c{.S = 3, .T = 5};
  Operands o(c, rng);
  o.mask = Tensor::zeros(DType::Bool, {1, 1, 3, 5});
  o.mask.set(7, 1); // query 1 sees key 2
  Tensor y = compute(c, o);
  expectClose(y, reference(c, o), 1e-5, 1e-6);
  EXPECT_EQ(y.at(0), 0);
  // With a finite filler, what is hidden everywhere is visible again.
  c.fill = -1e30;
  check(c, o);
}

TEST_P(Attention, WindowSoftcapSinkAndLengths) {
  for (int64_t window : {0, 1, 5, 64, 100})
    for (bool causal : {false, true}) {
      Config c{
          .S = 9, .T = 150, .softcap = 2, .causal = causal, .window = window};
      Operands o(c, rng);
      check(c, o);
      o.sink = Tensor::random(DType::F32, {4}, rng);
      check(c, o);
      o.lengths = Tensor::i64({2}, {150, 20});
      check(c, o);
      o.lengths = Tensor::i64({2}, {9, 0});
      check(c, o);
    }
}

TEST_P(Attention, StridedViewsAndCaches) {
  Config c{.S = 7, .T = 66, .causal = true};
  Operands o(c, rng);
  Tensor expected = compute(c, o);
  // Projections are [B, S, H, D]; the views are their transposes.
  Operands views = o;
  views.q = o.q.strided({0, 2, 1, 3});
  views.k = o.k.strided({0, 2, 1, 3});
  views.v = o.v.strided({0, 2, 1, 3});
  Tensor y = expected.strided({0, 2, 1, 3});
  runOn(runner, c, views, y);
  expectClose(y, expected, 0);
  // The inner dimension need not be contiguous either.
  views.k = o.k.strided({0, 1, 3, 2});
  views.v = o.v.strided({0, 1, 3, 2});
  runOn(runner, c, views, y);
  expectClose(y, expected, 0);
  // Caches have room for more keys.
  auto cache = [&](const Tensor &t) {
    Tensor room = Tensor::random(DType::F32, {2, 2, 100, 16}, rng);
    room.view.dims[2] = 66;
    for (int64_t i = 0; i < t.size(); ++i)
      room.set(i, t.at(i));
    return room;
  };
  views.k = cache(o.k);
  views.v = cache(o.v);
  expectEqual(compute(c, views), expected);
}

TEST_P(Attention, HalfPrecision) {
  for (DType dtype : {DType::F16, DType::BF16}) {
    Config c{
        .S = 10, .T = 90, .D = 20, .Dv = 12, .causal = true, .dtype = dtype};
    check(c, Operands(c, rng));
  }
}

TEST_P(Attention, ManyRowsReadPackedKeys) {
  for (DType dtype : {DType::F32, DType::F16})
    for (bool causal : {false, true})
      for (int64_t window : {0, 70})
        for (bool hasMask : {false, true}) {
          Config c{.S = 150, .T = 200, .D = 20, .Dv = 12, .dtype = dtype};
          c.causal = causal;
          c.window = window;
          Operands o(c, rng);
          if (hasMask)
            o.mask = Tensor::random(DType::Bool, {1, 1, c.S, c.T}, rng);
          check(c, o);
        }
}

TEST_P(Attention, RowsDoNotDependOnTheirNumber) {
  // The last rows alone, and one row at a time with growing keys, as decoding
  // does: the same bits.
  Config c{.B = 1, .S = 140, .T = 140, .D = 28, .Dv = 28, .causal = true};
  Operands o(c, rng);
  KernelRunner single({GetParam().isa, 1});
  Tensor all = Tensor::zeros(DType::F32, {1, c.H, c.S, c.Dv});
  runOn(single, c, o, all);
  for (int64_t first : {0, 63, 64, 100, 139})
    for (int64_t count : {int64_t(1), int64_t(5), c.S - first}) {
      if (first + count > c.S)
        continue;
      Config part = c;
      part.S = count;
      part.T = first + count;
      Operands some = o;
      some.q.view.dims[2] = count;
      some.q.view.data = some.q.bytes.data() + first * c.D * 4;
      some.k.view.dims[2] = some.v.view.dims[2] = part.T;
      Tensor y = Tensor::zeros(DType::F32, {1, c.H, count, c.Dv});
      runOn(runner, part, some, y);
      Tensor expected = all;
      expected.view.dims[2] = count;
      expected.view.data = expected.bytes.data() + first * c.Dv * 4;
      expectClose(y, expected, 0);
    }
}

TEST_P(Attention, ChunksOfKeysAreMerged) {
  // Chunks have 512 keys; the window begins in the second one.
  for (int64_t T : {512, 513, 1024, 1500})
    for (int64_t window : {0, 700})
      for (bool hasSink : {false, true}) {
        SCOPED_TRACE(std::to_string(T) + " " + std::to_string(window));
        Config c{.B = 1, .H = 2, .KV = 1, .S = 3, .T = T, .causal = true};
        c.window = window;
        Operands o(c, rng);
        if (hasSink)
          o.sink = Tensor::random(DType::F32, {c.H}, rng);
        check(c, o);
      }
}

TEST_P(Attention, HiddenChunksChangeNothing) {
  // A fill that is no infinity gives weights to hidden keys where all are
  // hidden, and none where one key is visible.
  Config c{.B = 1, .H = 2, .KV = 1, .S = 2, .T = 1100, .fill = -1e4};
  Operands o(c, rng);
  o.mask = Tensor::zeros(DType::Bool, {1, 1, c.S, c.T});
  for (int64_t j : {3, 700, 1090})
    o.mask.set(j, 1);
  check(c, o);
}

TEST_P(Attention, LongPastsDoNotDependOnThreadsOrRows) {
  Config c{.B = 1, .H = 3, .KV = 1, .S = 40, .T = 1300, .D = 24, .Dv = 20};
  c.causal = true;
  for (int64_t window : {0, 600}) {
    c.window = window;
    Operands o(c, rng);
    KernelRunner single({GetParam().isa, 1});
    Tensor all = Tensor::zeros(DType::F32, {1, c.H, c.S, c.Dv});
    runOn(single, c, o, all);
    for (int threads : {2, 4})
      for (int64_t first : {0, 17, 39}) {
        // One token after the keys before it: threads share the chunks.
        Config part = c;
        part.S = 1;
        part.T = c.T - c.S + first + 1;
        Operands some = o;
        some.q.view.dims[2] = 1;
        some.q.view.data = some.q.bytes.data() + first * c.D * 4;
        some.k.view.dims[2] = some.v.view.dims[2] = part.T;
        KernelRunner several({GetParam().isa, threads});
        Tensor y = Tensor::zeros(DType::F32, {1, c.H, 1, c.Dv});
        runOn(several, part, some, y);
        Tensor expected = all;
        expected.view.dims[2] = 1;
        expected.view.data = expected.bytes.data() + first * c.Dv * 4;
        expectClose(y, expected, 0);
      }
  }
}

TEST_P(Attention, RowsOfABatchDoNotDependOnEachOther) {
  Config c{.B = 3, .S = 4, .T = 80, .D = 32, .Dv = 32, .causal = true};
  Operands o(c, rng);
  o.lengths = Tensor::i64({3}, {80, 17, 66});
  Tensor all = compute(c, o);
  for (int64_t b = 0; b < 3; ++b) {
    Config alone = c;
    alone.B = 1;
    Operands one(alone, rng);
    one.q.view = o.q.view;
    one.k.view = o.k.view;
    one.v.view = o.v.view;
    for (Tensor *t : {&one.q, &one.k, &one.v}) {
      const Tensor &from = t == &one.q ? o.q : t == &one.k ? o.k : o.v;
      t->bytes = from.bytes;
      t->view.data = t->bytes.data() + b * t->view.strides[0] * 4;
      t->view.dims[0] = 1;
    }
    one.lengths = Tensor::i64({1}, {static_cast<int64_t>(o.lengths.at(b))});
    Tensor y = compute(alone, one);
    EXPECT_EQ(std::memcmp(y.bytes.data(), all.bytes.data() + b * y.bytes.size(),
                          y.bytes.size()),
              0);
  }
}

//===----------------------------------------------------------------------===//
// rotary
//===----------------------------------------------------------------------===//

TEST_P(Attention, Rotary) {
  // Pairs that fill no vector, and some that fill wide and narrow ones.
  for (auto [dtype, R] : {std::pair(DType::F32, int64_t(6)),
                          {DType::F16, int64_t(6)},
                          {DType::F32, int64_t(54)},
                          {DType::F16, int64_t(54)}})
    for (int interleaved : {0, 1})
      for (int64_t tableRows : {1, 2}) {
        constexpr int64_t B = 2, H = 3, S = 4;
        const int64_t D = R + 4;
        Tensor x = Tensor::random(dtype, {B, H, S, D}, rng);
        Tensor cos = Tensor::random(dtype, {tableRows, S, R / 2}, rng);
        Tensor sin = Tensor::random(dtype, {tableRows, S, R / 2}, rng);
        Tensor y = Tensor::zeros(dtype, {B, H, S, D}), expected = x;
        for (int64_t b = 0; b < B; ++b)
          for (int64_t h = 0; h < H; ++h)
            for (int64_t s = 0; s < S; ++s)
              for (int64_t i = 0; i < R / 2; ++i) {
                int64_t row = ((b * H + h) * S + s) * D;
                int64_t table = ((b % tableRows) * S + s) * R / 2 + i;
                int64_t first = row + (interleaved ? 2 * i : i);
                int64_t second = first + (interleaved ? 1 : R / 2);
                double c = cos.at(table), n = sin.at(table);
                expected.set(first, x.at(first) * c - x.at(second) * n);
                expected.set(second, x.at(second) * c + x.at(first) * n);
              }
        double tolerance = dtype == DType::F32 ? 1e-6 : 2e-3;
        for (const Tensor &from : {x, x.strided({0, 2, 1, 3})}) {
          runner.step("rotary").with("interleaved", interleaved);
          runner.with("rotary_dim", R).run({&from, &cos, &sin}, {&y});
          expectClose(y, expected, tolerance, tolerance);
        }
      }
}

MOE_ON_ALL_MACHINES(Attention);

} // namespace
