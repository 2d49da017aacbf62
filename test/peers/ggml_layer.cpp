//===- ggml_layer.cpp - Times one expert layer in ggml --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ggml_layer.py builds this against the headers and libraries of the ggml that
// it has fetched; it is not part of this project's build. The graph is the one
// that llama.cpp makes of an expert layer after its router: mul_mat_id for gate
// and up, their activation, mul_mat_id for down, times the routing weights, and
// the sum over the k experts.
//
// The weights stay while it reads commands, one a line:
//
//   FILE TOKENS SECONDS   runs with the routings of FILE, int32 [calls, TOKENS,
//                         k], again and again for SECONDS
//
// and answers each with a line of JSON: the median time of a call and the
// largest error of a sampled row, relative to the largest of its numbers.
//
//===----------------------------------------------------------------------===//

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const std::string &message) {
  std::fprintf(stderr, "ggml_layer: error: %s\n", message.c_str());
  std::exit(1);
}

struct Layer {
  int64_t experts = 0, k = 0, hidden = 0, inner = 0;
  std::string activation;
  bool gated = false;
  ggml_type type = GGML_TYPE_F32;
};

enum Matrix : int { kGate, kUp, kDown, kNumMatrices };

/// Rows that are multiplied with the hidden or inner values.
int64_t rowsOf(const Layer &layer, int matrix) {
  return matrix == kDown ? layer.hidden : layer.inner;
}
int64_t depthOf(const Layer &layer, int matrix) {
  return matrix == kDown ? layer.inner : layer.hidden;
}

/// Numbers between -1 and 1 that depend on the seed alone.
class Noise {
public:
  explicit Noise(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15ull + 1) {}
  float next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return float(int32_t(state >> 32)) * 0x1p-31f;
  }

private:
  uint64_t state;
};

/// The weights of one expert as ggml stores them.
std::vector<uint8_t> expertBytes(const Layer &layer, int copy, int matrix,
                                 int64_t expert) {
  int64_t rows = rowsOf(layer, matrix), depth = depthOf(layer, matrix);
  Noise noise(
      uint64_t((copy * kNumMatrices + matrix) * layer.experts + expert));
  float top = std::sqrt(3.0f / float(depth));
  std::vector<float> values(size_t(rows * depth));
  for (float &value : values)
    value = top * noise.next();
  std::vector<uint8_t> bytes(ggml_row_size(layer.type, depth) * size_t(rows));
  ggml_quantize_chunk(layer.type, values.data(), bytes.data(), 0, rows, depth,
                      nullptr);
  return bytes;
}

/// Where ggml keeps weights that it rearranges for its fastest kernels.
ggml_backend_buffer_type_t rearrangedBuffer() {
  ggml_backend_reg_t reg = ggml_backend_cpu_reg();
  auto find = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(reg,
                                        "ggml_backend_dev_get_extra_bufts"));
  ggml_backend_buffer_type_t *types =
      find ? find(ggml_backend_reg_dev_get(reg, 0)) : nullptr;
  for (; types && *types; ++types)
    if (std::string(ggml_backend_buft_name(*types)) == "CPU_REPACK")
      return *types;
  fail("this ggml does not rearrange weights");
}

/// The matrices of the layer, perhaps several times.
class Weights {
public:
  Weights(const Layer &layer, int copy, bool rearranged) : layer(layer) {
    ggml_init_params params = {kNumMatrices * ggml_tensor_overhead(), nullptr,
                               /*no_alloc=*/true};
    context = ggml_init(params);
    for (int m = layer.gated ? kGate : kUp; m < kNumMatrices; ++m)
      tensors[m] = ggml_new_tensor_3d(context, layer.type, depthOf(layer, m),
                                      rowsOf(layer, m), layer.experts);
    if (!ggml_backend_alloc_ctx_tensors_from_buft(
            context,
            rearranged ? rearrangedBuffer() : ggml_backend_cpu_buffer_type()))
      fail("out of memory");
    for (int m = 0; m < kNumMatrices; ++m)
      if (tensors[m])
        fill(copy, m, rearranged);
  }
  ggml_tensor *operator[](int matrix) const { return tensors[matrix]; }

private:
  void fill(int copy, int m, bool rearranged) {
    if (rearranged && !tensors[m]->extra)
      fail("this ggml does not rearrange such weights");
    std::vector<uint8_t> all;
    all.reserve(ggml_nbytes(tensors[m]));
    for (int64_t e = 0; e < layer.experts; ++e) {
      std::vector<uint8_t> bytes = expertBytes(layer, copy, m, e);
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    ggml_backend_tensor_set(tensors[m], all.data(), 0, all.size());
  }

  const Layer &layer;
  ggml_context *context = nullptr;
  ggml_tensor *tensors[kNumMatrices] = {};
};

/// The layer for one number of tokens.
class Graph {
public:
  Graph(const Layer &layer, const Weights &weights, int64_t tokens);
  ~Graph() {
    ggml_gallocr_free(allocator);
    ggml_free(context);
  }

  ggml_tensor *x, *ids, *mix, *y;
  ggml_cgraph *graph;

private:
  ggml_context *context;
  ggml_gallocr_t allocator;
};

ggml_tensor *activate(ggml_context *context, const Layer &layer,
                      ggml_tensor *gate, ggml_tensor *up) {
  if (layer.activation == "silu")
    return gate ? ggml_swiglu_split(context, gate, up) : ggml_silu(context, up);
  if (layer.activation == "gelu")
    return gate ? ggml_geglu_split(context, gate, up) : ggml_gelu(context, up);
  if (layer.activation == "relu")
    return gate ? ggml_reglu_split(context, gate, up) : ggml_relu(context, up);
  fail("no activation '" + layer.activation + "'");
}

Graph::Graph(const Layer &layer, const Weights &weights, int64_t tokens) {
  constexpr size_t kMaxTensors = 256;
  ggml_init_params params = {
      kMaxTensors * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr,
      /*no_alloc=*/true};
  context = ggml_init(params);
  x = ggml_new_tensor_3d(context, GGML_TYPE_F32, layer.hidden, 1, tokens);
  ids = ggml_new_tensor_2d(context, GGML_TYPE_I32, layer.k, tokens);
  mix = ggml_new_tensor_3d(context, GGML_TYPE_F32, 1, layer.k, tokens);
  for (ggml_tensor *input : {x, ids, mix})
    ggml_set_input(input);
  ggml_tensor *gate = nullptr;
  ggml_tensor *up = ggml_mul_mat_id(context, weights[kUp], x, ids);
  if (layer.gated)
    gate = ggml_mul_mat_id(context, weights[kGate], x, ids);
  ggml_tensor *rows = ggml_mul_mat_id(context, weights[kDown],
                                      activate(context, layer, gate, up), ids);
  rows = ggml_mul(context, rows, mix);
  for (int64_t i = 0; i < layer.k; ++i) {
    ggml_tensor *part = ggml_view_2d(context, rows, layer.hidden, tokens,
                                     rows->nb[2], size_t(i) * rows->nb[1]);
    y = i == 0 ? part : ggml_add(context, y, part);
  }
  y = layer.k == 1 ? ggml_cont(context, y) : y;
  ggml_set_output(y);
  graph = ggml_new_graph(context);
  ggml_build_forward_expand(graph, y);
  allocator = ggml_gallocr_new(ggml_backend_cpu_buffer_type());
  if (!ggml_gallocr_alloc_graph(allocator, graph))
    fail("out of memory");
}

//===----------------------------------------------------------------------===//
// What the sampled row should be
//===----------------------------------------------------------------------===//

/// Matrix times x, with the weights as they are stored.
std::vector<float> product(const Layer &layer, int copy, int matrix,
                           int64_t expert, const std::vector<float> &x) {
  std::vector<uint8_t> bytes = expertBytes(layer, copy, matrix, expert);
  size_t depth = x.size(), rowBytes = ggml_row_size(layer.type, int64_t(depth));
  auto toFloat = ggml_get_type_traits(layer.type)->to_float;
  std::vector<float> row(depth), y;
  for (int64_t r = 0; r < rowsOf(layer, matrix); ++r) {
    const uint8_t *source = bytes.data() + size_t(r) * rowBytes;
    if (layer.type == GGML_TYPE_F32)
      std::memcpy(row.data(), source, rowBytes);
    else
      toFloat(source, row.data(), int64_t(depth));
    double sum = 0;
    for (size_t i = 0; i < depth; ++i)
      sum += double(row[i]) * double(x[i]);
    y.push_back(float(sum));
  }
  return y;
}

float activation(const std::string &name, float x) {
  if (name == "silu")
    return x / (1 + std::exp(-x));
  if (name == "relu")
    return std::max(x, 0.0f);
  return 0.5f * x * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)));
}

std::vector<float> expectedRow(const Layer &layer, int copy,
                               const std::vector<float> &x, const int32_t *ids,
                               const float *mix) {
  std::vector<float> y(size_t(layer.hidden));
  for (int64_t i = 0; i < layer.k; ++i) {
    std::vector<float> up = product(layer, copy, kUp, ids[i], x), gate = up;
    if (layer.gated)
      gate = product(layer, copy, kGate, ids[i], x);
    for (size_t j = 0; j < up.size(); ++j)
      up[j] =
          activation(layer.activation, gate[j]) * (layer.gated ? up[j] : 1.0f);
    std::vector<float> down = product(layer, copy, kDown, ids[i], up);
    for (size_t j = 0; j < y.size(); ++j)
      y[j] += mix[i] * down[j];
  }
  return y;
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

std::vector<int32_t> readRoutings(const std::string &path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file)
    fail(path + ": cannot be read");
  std::vector<int32_t> ids(size_t(file.tellg()) / sizeof(int32_t));
  file.seekg(0);
  file.read(reinterpret_cast<char *>(ids.data()),
            std::streamsize(ids.size() * sizeof(int32_t)));
  return ids;
}

/// Runs calls again and again, each with the next routing and weights.
class Runner {
public:
  Runner(const Layer &layer, const std::vector<std::unique_ptr<Weights>> &all,
         ggml_backend_t backend, int64_t tokens, std::vector<int32_t> routings)
      : layer(layer), backend(backend), routings(std::move(routings)),
        choices(size_t(tokens * layer.k)) {
    if (this->routings.size() < choices || this->routings.size() % choices)
      fail("routings of another size");
    for (auto &weights : all)
      graphs.push_back(std::make_unique<Graph>(layer, *weights, tokens));
    Noise noise(7);
    for (int64_t i = 0; i < tokens * layer.hidden; ++i)
      x.push_back(noise.next());
    for (size_t i = 0; i < choices; ++i)
      mix.push_back((1.5f + noise.next()) / float(layer.k));
  }

  /// Milliseconds of the next call.
  double call() {
    Graph &graph = *graphs[numCalls % graphs.size()];
    ggml_backend_tensor_set(graph.x, x.data(), 0, ggml_nbytes(graph.x));
    ggml_backend_tensor_set(graph.ids, currentIds(), 0, ggml_nbytes(graph.ids));
    ggml_backend_tensor_set(graph.mix, mix.data(), 0, ggml_nbytes(graph.mix));
    auto begin = std::chrono::steady_clock::now();
    if (ggml_backend_graph_compute(backend, graph.graph) != GGML_STATUS_SUCCESS)
      fail("the graph did not run");
    std::chrono::duration<double, std::milli> time =
        std::chrono::steady_clock::now() - begin;
    ++numCalls;
    return time.count();
  }

  /// Compares the first row of the call before.
  double error() {
    --numCalls;
    size_t copy = numCalls % graphs.size();
    std::vector<float> row(size_t(layer.hidden));
    ggml_backend_tensor_get(graphs[copy]->y, row.data(), 0,
                            row.size() * sizeof(float));
    std::vector<float> expected =
        expectedRow(layer, int(copy), {x.begin(), x.begin() + layer.hidden},
                    currentIds(), mix.data());
    float largest = 0, error = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      error = std::max(error, std::abs(expected[i] - row[i]));
    }
    ++numCalls;
    return double(error) / double(largest);
  }

private:
  const int32_t *currentIds() const {
    size_t numRoutings = routings.size() / choices;
    return routings.data() + numCalls % numRoutings * choices;
  }

  const Layer &layer;
  ggml_backend_t backend;
  std::vector<int32_t> routings;
  size_t choices, numCalls = 0;
  std::vector<std::unique_ptr<Graph>> graphs;
  std::vector<float> x, mix;
};

void serve(const Layer &layer, const std::vector<std::unique_ptr<Weights>> &all,
           ggml_backend_t backend) {
  std::string path;
  int64_t tokens = 0;
  double seconds = 0;
  while (std::cin >> path >> tokens >> seconds) {
    Runner runner(layer, all, backend, tokens, readRoutings(path));
    for (int i = 0; i < 2; ++i)
      runner.call();
    std::vector<double> times;
    double total = 0;
    while (total < seconds * 1e3 || times.size() < 5) {
      times.push_back(runner.call());
      total += times.back();
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2,
                     times.end());
    std::printf("{\"median_ms\": %.6f, \"calls\": %zu, \"error\": %.3g}\n",
                times[times.size() / 2], times.size(), runner.error());
    std::fflush(stdout);
  }
}

ggml_type typeOf(const std::string &name) {
  for (ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16,
                         GGML_TYPE_Q8_0, GGML_TYPE_Q4_0})
    if (name == ggml_type_name(type))
      return type;
  fail("no type '" + name + "'");
}

int64_t numberOf(const char *text) {
  int64_t number = std::atoll(text);
  if (number < 1 || number > 1 << 20)
    fail(std::string("'") + text + "' is no size");
  return number;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 11)
    fail("expected E K H I ACTIVATION gated|plain TYPE plain|rearranged "
         "COPIES THREADS");
  Layer layer = {numberOf(argv[1]), numberOf(argv[2]),
                 numberOf(argv[3]), numberOf(argv[4]),
                 argv[5],           std::string(argv[6]) == "gated",
                 typeOf(argv[7])};
  ggml_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
  ggml_backend_t backend = ggml_backend_cpu_init();
  ggml_backend_cpu_set_n_threads(backend, int(numberOf(argv[10])));
  std::vector<std::unique_ptr<Weights>> weights;
  for (int64_t copy = 0; copy < numberOf(argv[9]); ++copy)
    weights.push_back(std::make_unique<Weights>(
        layer, int(copy), std::string(argv[8]) == "rearranged"));
  std::printf("{\"version\": \"%s\"}\n", ggml_version());
  std::fflush(stdout);
  serve(layer, weights, backend);
  return 0;
}
