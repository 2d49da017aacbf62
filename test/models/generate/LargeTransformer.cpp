//===- LargeTransformer.cpp - MoE transformers of any size ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/models/generate/LargeTransformer.h"

#include "test/models/generate/ExternalWeight.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

using namespace moe;
using namespace moe::test;
namespace onnx = moe::onnx;

static constexpr const char *kMicrosoft = "com.microsoft";
/// Element types of ONNX.
static constexpr int kFloat = 1, kInt64 = 7;

TransformerSizes TransformerSizes::prmoe() {
  TransformerSizes sizes;
  for (int layer = 0; layer < 24; ++layer)
    sizes.experts.push_back(layer % 2 == 0 ? 0 : layer < 20 ? 64 : 128);
  sizes.hidden = 2048;
  sizes.inner = 8192;
  sizes.heads = 16;
  sizes.vocabulary = 51200;
  sizes.residual = true;
  return sizes;
}

TransformerSizes TransformerSizes::deep() {
  TransformerSizes sizes;
  sizes.experts.assign(60, 256);
  sizes.k = 8;
  sizes.hidden = 4096;
  sizes.inner = 1536;
  sizes.heads = 32;
  sizes.vocabulary = 129280;
  sizes.gated = true;
  return sizes;
}

namespace {

using Names = std::vector<std::string>;

/// Nodes and weights of one model.
class GraphWriter {
public:
  explicit GraphWriter(const TransformerSizes &sizes);

  void addLayerOnly();
  void addTransformer();
  Status write(const std::string &folder) const;

private:
  void addPort(onnx::ValueInfoProto &port, const std::string &name, int type,
               const Names &dims);
  std::string weight(const std::string &name, std::vector<int64_t> dims);
  std::string integers(const std::string &name, std::vector<int64_t> values);
  onnx::NodeProto &node(const char *type, const Names &inputs,
                        const std::string &output, const char *domain = "");
  void set(onnx::NodeProto &node, const char *name, int64_t value);
  void set(onnx::NodeProto &node, const char *name, const char *value);
  std::string project(const std::string &x, const std::string &name,
                      int64_t from, int64_t to);
  std::string norm(const std::string &x, const std::string &name);
  std::string attention(const std::string &x, int64_t layer);
  std::string mlp(const std::string &x, const std::string &name);
  std::string experts(const std::string &x, const std::string &name,
                      int64_t numExperts);
  std::string moe(const std::string &x, const std::string &name,
                  int64_t numExperts);
  std::string mix(const std::string &x, const std::string &experts,
                  const std::string &name);

  const TransformerSizes &sizes;
  onnx::ModelProto model;
  onnx::GraphProto &graph = *model.mutable_graph();
  int64_t numBytes = 0;
};

} // namespace

//===----------------------------------------------------------------------===//
// Parts of ONNX
//===----------------------------------------------------------------------===//

GraphWriter::GraphWriter(const TransformerSizes &sizes) : sizes(sizes) {
  model.set_ir_version(10);
  for (auto [domain, version] : {std::pair("", 21), std::pair(kMicrosoft, 1)}) {
    onnx::OperatorSetIdProto *opset = model.add_opset_import();
    opset->set_domain(domain);
    opset->set_version(version);
  }
  graph.set_name("generated");
}

/// Dimensions are numbers or symbols.
void GraphWriter::addPort(onnx::ValueInfoProto &port, const std::string &name,
                          int type, const Names &dims) {
  port.set_name(name);
  auto *tensor = port.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  for (const std::string &dim : dims) {
    auto *entry = tensor->mutable_shape()->add_dim();
    if (dim.find_first_not_of("0123456789") == dim.npos)
      entry->set_dim_value(std::stoll(dim));
    else
      entry->set_dim_param(dim);
  }
}

std::string GraphWriter::weight(const std::string &name,
                                std::vector<int64_t> dims) {
  return addExternalWeight(graph, name, dims, numBytes);
}

std::string GraphWriter::integers(const std::string &name,
                                  std::vector<int64_t> values) {
  onnx::TensorProto *tensor = graph.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(kInt64);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  for (int64_t value : values)
    tensor->add_int64_data(value);
  return name;
}

onnx::NodeProto &GraphWriter::node(const char *type, const Names &inputs,
                                   const std::string &output,
                                   const char *domain) {
  onnx::NodeProto &node = *graph.add_node();
  node.set_op_type(type);
  node.set_domain(domain);
  node.set_name("/" + output);
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  return node;
}

void GraphWriter::set(onnx::NodeProto &node, const char *name, int64_t value) {
  onnx::AttributeProto *attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

void GraphWriter::set(onnx::NodeProto &node, const char *name,
                      const char *value) {
  onnx::AttributeProto *attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::STRING);
  attribute->set_s(value);
}

//===----------------------------------------------------------------------===//
// Parts of a transformer
//===----------------------------------------------------------------------===//

std::string GraphWriter::project(const std::string &x, const std::string &name,
                                 int64_t from, int64_t to) {
  node("MatMul", {x, weight(name + ".weight", {from, to})}, name);
  return name;
}

std::string GraphWriter::norm(const std::string &x, const std::string &name) {
  onnx::NodeProto &layer = node("LayerNormalization",
                                {x, weight(name + ".scale", {sizes.hidden}),
                                 weight(name + ".bias", {sizes.hidden})},
                                name);
  set(layer, "axis", int64_t(-1));
  return name;
}

std::string GraphWriter::attention(const std::string &x, int64_t layer) {
  std::string name = "layers." + std::to_string(layer) + ".attention";
  Names inputs;
  for (const char *part : {".q", ".k", ".v"})
    inputs.push_back(project(x, name + part, sizes.hidden, sizes.hidden));
  std::string past = "past_key_values." + std::to_string(layer);
  std::string present = "present." + std::to_string(layer);
  std::string heads = std::to_string(sizes.heads);
  std::string depth = std::to_string(sizes.hidden / sizes.heads);
  inputs.insert(inputs.end(), {"", "", "", past + ".key", past + ".value"});
  onnx::NodeProto &mha =
      node("MultiHeadAttention", inputs, name + ".heads", kMicrosoft);
  set(mha, "num_heads", sizes.heads);
  set(mha, "unidirectional", int64_t(1));
  for (const char *part : {".key", ".value"}) {
    addPort(*graph.add_input(), past + part, kFloat,
            {"batch", heads, "past", depth});
    addPort(*graph.add_output(), present + part, kFloat,
            {"batch", heads, "past + seq", depth});
    mha.add_output(present + part);
  }
  return project(name + ".heads", name + ".out", sizes.hidden, sizes.hidden);
}

std::string GraphWriter::mlp(const std::string &x, const std::string &name) {
  std::string up = project(x, name + ".up", sizes.hidden, sizes.inner);
  node("Add", {up, weight(name + ".up.bias", {sizes.inner})}, name + ".biased");
  node("Gelu", {name + ".biased"}, name + ".gelu");
  std::string down =
      project(name + ".gelu", name + ".down", sizes.inner, sizes.hidden);
  node("Add", {down, weight(name + ".down.bias", {sizes.hidden})}, name);
  return name;
}

/// Router and experts on rows [tokens, hidden].
std::string GraphWriter::experts(const std::string &x, const std::string &name,
                                 int64_t numExperts) {
  std::string logits = project(x, name + ".router", sizes.hidden, numExperts);
  auto matrix = [&](const char *part, int64_t rows, int64_t columns) {
    return weight(name + part, {numExperts, rows, columns});
  };
  Names inputs = {x, logits};
  inputs.push_back(matrix(".fc1", sizes.inner, sizes.hidden));
  inputs.push_back(
      sizes.gated ? "" : weight(name + ".b1", {numExperts, sizes.inner}));
  inputs.push_back(matrix(".fc2", sizes.hidden, sizes.inner));
  inputs.push_back(
      sizes.gated ? "" : weight(name + ".b2", {numExperts, sizes.hidden}));
  if (sizes.gated)
    inputs.push_back(matrix(".fc3", sizes.inner, sizes.hidden));
  onnx::NodeProto &layer = node("MoE", inputs, name, kMicrosoft);
  set(layer, "k", sizes.k);
  set(layer, "activation_type", sizes.gated ? "silu" : "gelu");
  set(layer, "normalize_routing_weights", int64_t(sizes.k > 1));
  return name;
}

/// c = softmax(x w + b); experts * c[0] + mlp(x) * c[1].
std::string GraphWriter::mix(const std::string &x, const std::string &experts,
                             const std::string &name) {
  std::string dense = mlp(x, name + ".mlp");
  std::string logits = project(x, name + ".coefficient", sizes.hidden, 2);
  node("Add", {logits, weight(name + ".coefficient.bias", {2})},
       name + ".logits");
  set(node("Softmax", {name + ".logits"}, name + ".shares"), "axis",
      int64_t(-1));
  Names products;
  for (int64_t i : {0, 1}) {
    std::string part = name + ".share" + std::to_string(i);
    node("Slice",
         {name + ".shares", integers(part + ".from", {i}),
          integers(part + ".to", {i + 1}), integers(part + ".axis", {2})},
         part);
    node("Mul", {i == 0 ? experts : dense, part}, part + ".product");
    products.push_back(part + ".product");
  }
  node("Add", products, name + ".mixed");
  return name + ".mixed";
}

std::string GraphWriter::moe(const std::string &x, const std::string &name,
                             int64_t numExperts) {
  node("Reshape", {x, integers(name + ".rows", {-1, sizes.hidden})},
       name + ".tokens");
  std::string y = experts(name + ".tokens", name + ".experts", numExperts);
  node("Shape", {x}, name + ".shape");
  node("Reshape", {y, name + ".shape"}, name + ".output");
  return sizes.residual ? mix(x, name + ".output", name) : name + ".output";
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

void GraphWriter::addLayerOnly() {
  std::string columns = std::to_string(sizes.hidden);
  addPort(*graph.add_input(), "x", kFloat, {"tokens", columns});
  std::string y = experts("x", "layer", sizes.experts.at(0));
  node("Identity", {y}, "y");
  addPort(*graph.add_output(), "y", kFloat, {"tokens", columns});
}

void GraphWriter::addTransformer() {
  addPort(*graph.add_input(), "input_ids", kInt64, {"batch", "seq"});
  std::string x = "embedding";
  node("Gather",
       {weight("embedding.weight", {sizes.vocabulary, sizes.hidden}),
        "input_ids"},
       x);
  for (size_t i = 0; i < sizes.experts.size(); ++i) {
    std::string layer = "layers." + std::to_string(i);
    std::string y =
        attention(norm(x, layer + ".norm1"), static_cast<int64_t>(i));
    node("Add", {x, y}, layer + ".middle");
    x = layer + ".middle";
    std::string normed = norm(x, layer + ".norm2");
    y = sizes.experts[i] == 0 ? mlp(normed, layer + ".mlp")
                              : moe(normed, layer + ".moe", sizes.experts[i]);
    node("Add", {x, y}, layer + ".end");
    x = layer + ".end";
  }
  project(norm(x, "norm"), "logits", sizes.hidden, sizes.vocabulary);
  addPort(*graph.add_output(), "logits", kFloat,
          {"batch", "seq", std::to_string(sizes.vocabulary)});
}

Status GraphWriter::write(const std::string &folder) const {
  auto fail = [&](const std::string &file) {
    return Status(StatusCode::IoError,
                  folder + "/" + file + ": " + std::strerror(errno));
  };
  std::ofstream stream(folder + "/model.onnx", std::ios::binary);
  if (!(stream << model.SerializeAsString()).flush())
    return fail("model.onnx");
  std::string weights = folder + "/weights.bin";
  int file = open(weights.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (file < 0)
    return fail("weights.bin");
  bool isCut = ftruncate(file, numBytes) == 0;
  close(file);
  return isCut ? Status::ok() : fail("weights.bin");
}

Status moe::test::writeTransformer(const std::string &folder,
                                   const TransformerSizes &sizes) {
  GraphWriter writer(sizes);
  writer.addTransformer();
  return writer.write(folder);
}

Status moe::test::writeMoeLayer(const std::string &folder,
                                const TransformerSizes &sizes) {
  GraphWriter writer(sizes);
  writer.addLayerOnly();
  return writer.write(folder);
}
