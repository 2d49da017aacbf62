#!/usr/bin/env python3
"""Writes a model of OLMoE's shape with made-up weights, to measure whole steps.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

The form is that of ONNX Runtime's model builder: GroupQueryAttention with its
cache as inputs and outputs, norms of whole queries and keys, and MoE or, with
--dtype=int4, MatMulNBits and QMoE in blocks of 32. Its default size is that of
OLMoE-1B-7B: 6.9 billion weights, 4.4 GB in int4. What it says is noise; its
steps are as those of the trained model. Needs numpy and onnx, and --reference
onnxruntime.

examples:
  olmoe_shape.py /tmp/olmoe --dtype int4
  olmoe_shape.py /tmp/small --layers 2 --experts 8 --hidden 256 --inner 128 \\
    --vocabulary 500 --context 64 --reference
  moe-opt /tmp/small/model.onnx -o small.moeplan && moe-run small.moeplan \\
    --inputs /tmp/small/inputs_1.npz --expect /tmp/small/expected_1.npz
"""
import argparse
import json
import math
import os

import numpy as np
from onnx import TensorProto

from onnx_writer import MICROSOFT, ModelWriter

EPSILON = 1e-5
THETA = 10000.0
BLOCK = 32
FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


class OlmoeWriter:
    """The nodes of the model, from its inputs to its logits."""

    def __init__(self, options):
        self.o = options
        self.heads = options.hidden // options.head_size
        self.w = ModelWriter(options.folder, options.seed)

    # Parts that depend on the type of the weights.

    def project(self, x, name, depth, size):
        """x [.., depth] times a matrix of weights: [.., size]."""
        if self.o.dtype == "f32":
            w = self.w.normal(name + ".weight", [depth, size], depth ** -0.5)
            return self.w.node("MatMul", [x, w], name)
        blocks = depth // BLOCK
        q = self.w.codes(name + ".codes", [size, blocks, BLOCK // 2])
        s = self.w.scales(name + ".scales", [size, blocks], depth, np.float32)
        return self.w.node("MatMulNBits", [x, q, s], name, MICROSOFT, K=depth,
                           N=size, bits=4, block_size=BLOCK)

    def expert_weights(self, name, size, depth):
        """Inputs of MoE or QMoE for matrices [experts, size, depth]."""
        experts = self.o.experts
        if self.o.dtype == "f32":
            return [self.w.normal(name + ".weight", [experts, size, depth],
                                  depth ** -0.5), ""]
        return [self.w.codes(name + ".codes", [experts, size, depth // 2]),
                self.w.scales(name + ".scales", [experts, size, depth // BLOCK],
                              depth, np.float16), ""]

    # The model.

    def norm_weight(self, name, size):
        return self.w.constant(name + ".weight", np.ones(size, np.float32))

    def norm(self, x, name, size):
        return self.w.node("SimplifiedLayerNormalization",
                           [x, self.norm_weight(name, size)], name, axis=-1,
                           epsilon=EPSILON, stash_type=1)

    def add_and_norm(self, x, skip, name):
        """The norm of x + skip, and the sum."""
        weight = self.norm_weight(name, self.o.hidden)
        normed, _, _, total = self.w.node(
            "SkipSimplifiedLayerNormalization", [x, skip, weight],
            [name, "", "", name + ".sum"], MICROSOFT, epsilon=EPSILON)
        return normed, total

    def inputs(self):
        """Ids, lengths of the rows for attention, and the tables of angles."""
        w = self.w
        w.add_input("input_ids", INT64, ["batch_size", "sequence_length"])
        w.add_input("attention_mask", INT64,
                    ["batch_size", "total_sequence_length"])
        one = w.constant("one", np.array([1], np.int64))
        keys = w.node("ReduceSum", ["attention_mask", one], "keys", keepdims=0)
        last = w.node("Sub", [keys, one], "last_key")
        self.lengths = w.node("Cast", [last], "seqlens_k", to=INT32)
        shape = w.node("Shape", ["attention_mask"], "mask_shape")
        index = w.constant("index", np.array(1, np.int64))
        total = w.node("Gather", [shape, index], "total_length", axis=0)
        self.total = w.node("Cast", [total], "total_sequence", to=INT32)
        half = self.o.head_size // 2
        angles = np.outer(np.arange(self.o.context),
                          THETA ** (-np.arange(half) / half))
        cos, sin = np.cos(angles), np.sin(angles)
        self.angles = [w.constant("cos_cache", cos.astype(np.float32)),
                       w.constant("sin_cache", sin.astype(np.float32))]

    def attention(self, x, name, layer):
        hidden = self.o.hidden
        q, k, v = (self.project(x, f"{name}.{part}_proj", hidden, hidden)
                   for part in "qkv")
        q, k = (self.norm(y, f"{name}.{part}_norm", hidden)
                for part, y in (("q", q), ("k", k)))
        cache = []
        for side in ("key", "value"):
            dims = ["batch_size", self.heads, "{}_sequence_length",
                    self.o.head_size]
            past, present = ([d.format(at) if isinstance(d, str) else d
                              for d in dims] for at in ("past", "total"))
            cache.append(self.w.add_input(
                f"past_key_values.{layer}.{side}", FLOAT, past))
            self.w.add_output(f"present.{layer}.{side}", FLOAT, present)
        y, _, _ = self.w.node(
            "GroupQueryAttention",
            [q, k, v, *cache, self.lengths, self.total, *self.angles],
            [name, f"present.{layer}.key", f"present.{layer}.value"], MICROSOFT,
            num_heads=self.heads, kv_num_heads=self.heads, do_rotary=1,
            scale=1 / math.sqrt(self.o.head_size))
        return self.project(y, name + ".o_proj", hidden, hidden)

    def experts(self, x, name):
        o = self.o
        router = self.w.normal(name + ".router.weight", [o.hidden, o.experts],
                               o.hidden ** -0.5)
        scores = self.w.node("MatMul", [x, router], name + ".router")
        rows = self.w.node("Reshape", [scores, self.rows], name + ".logits")
        # Alpha 1, beta 0 and no limit: silu(gate) * up. OLMoE does not divide
        # the scores of the chosen experts by their sum; ONNX Runtime's QMoE
        # does on CPUs, whatever the attribute says, so say what it does.
        attributes = dict(k=o.k, activation_type="swiglu", swiglu_fusion=1,
                          activation_alpha=1.0, activation_beta=0.0,
                          normalize_routing_weights=int(o.dtype == "int4"))
        if o.dtype == "int4":
            attributes.update(expert_weight_bits=4, block_size=BLOCK,
                              weights_prepacked=0)
        gate_up = self.expert_weights(name + ".gate_up", 2 * o.inner, o.hidden)
        down = self.expert_weights(name + ".down", o.hidden, o.inner)
        return self.w.node("QMoE" if o.dtype == "int4" else "MoE",
                           [x, rows, *gate_up, *down], name, MICROSOFT,
                           **attributes)

    def write(self):
        o = self.o
        self.inputs()
        self.rows = self.w.constant("rows", np.array([-1, o.experts], np.int64))
        table = self.w.normal("embed.weight", [o.vocabulary, o.hidden], 1.0)
        total = self.w.node("Gather", [table, "input_ids"], "embed", axis=0)
        x = self.norm(total, "layers.0.input_norm", o.hidden)
        for layer in range(o.layers):
            name = f"layers.{layer}"
            y = self.attention(x, name + ".attention", layer)
            x, total = self.add_and_norm(total, y, name + ".expert_norm")
            y = self.experts(x, name + ".experts")
            last = layer + 1 == o.layers
            x, total = self.add_and_norm(
                total, y, "norm" if last else f"layers.{layer + 1}.input_norm")
        logits = self.project(x, "lm_head", o.hidden, o.vocabulary)
        self.w.node("Identity", [logits], "logits")
        self.w.add_output("logits", FLOAT,
                          ["batch_size", "sequence_length", o.vocabulary])
        return self.w.save()


def write_reference(options, path):
    """What ONNX Runtime computes: a prompt, then a token after it."""
    import onnxruntime
    session = onnxruntime.InferenceSession(path,
                                           providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    rng = np.random.default_rng(options.seed)
    heads = options.hidden // options.head_size
    past = {port.name: np.zeros((2, heads, 0, options.head_size), np.float32)
            for port in session.get_inputs() if "past" in port.name}
    length = 0
    for run, tokens in enumerate((7, 1)):
        length += tokens
        feeds = {"input_ids": rng.integers(0, options.vocabulary, (2, tokens)),
                 "attention_mask": np.ones((2, length), np.int64), **past}
        outputs = dict(zip(names, session.run(names, feeds)))
        np.savez(os.path.join(options.folder, f"inputs_{run}.npz"), **feeds)
        np.savez(os.path.join(options.folder, f"expected_{run}.npz"), **outputs)
        past = {name: outputs[name.replace("past_key_values", "present")]
                for name in past}
    with open(os.path.join(options.folder, "check.json"), "w") as file:
        layers = [[options.experts, options.k]] * options.layers
        json.dump({"atol": 1e-3, "rtol": 1e-3, "moe_layers": layers}, file)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="gets model.onnx and model.onnx.data")
    parser.add_argument("--dtype", choices=["f32", "int4"], default="f32",
                        help="of matrices; embedding, router and norms are f32")
    for name, value, what in (
            ("layers", 16, ""), ("experts", 64, "of a layer"),
            ("k", 8, "experts of a token"), ("hidden", 2048, ""),
            ("inner", 1024, "hidden values of an expert"),
            ("head-size", 128, ""), ("vocabulary", 50304, ""),
            ("context", 4096, "most positions"), ("seed", 0, "of the weights")):
        parser.add_argument("--" + name, type=int, default=value,
                            help=f"{what} (default {value})".strip())
    parser.add_argument("--reference", action="store_true",
                        help="also inputs and what ONNX Runtime computes")
    options = parser.parse_args()
    sizes = (options.layers, options.experts, options.k, options.hidden,
             options.inner, options.head_size, options.vocabulary,
             options.context)
    if min(sizes) < 1 or options.seed < 0:
        parser.error("sizes must be positive")
    if options.k > options.experts:
        parser.error(f"{options.experts} experts, but {options.k} of a token")
    if options.hidden % options.head_size or options.head_size % 2:
        parser.error("--hidden must be a multiple of --head-size, that of 2")
    if options.dtype == "int4" and (options.hidden % BLOCK or
                                    options.inner % BLOCK):
        parser.error(f"int4 has blocks of {BLOCK}; --hidden and --inner must "
                     "be multiples")
    return options


def main():
    options = parse_arguments()
    path, num_bytes = OlmoeWriter(options).write()
    print(f"{path}: {num_bytes / 1e9:.2f} GB of weights")
    if options.reference:
        write_reference(options, path)


if __name__ == "__main__":
    main()
