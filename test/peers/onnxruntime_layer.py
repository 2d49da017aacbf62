#!/usr/bin/env python3
"""Times one expert layer in ONNX Runtime and in moe-run, side by side.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

Both run the same sizes and routings with the same number of threads in
alternating rounds; a sampled row of ONNX Runtime is checked. Its operators are
those that its CPU kernels run (1.32): gate and up must be interleaved; MoE of
f32 or f16 values; QMoE with f32 values and

  int4        blocks of 32, accuracy_level 0: activations stay f32
  int4+int8   blocks of 32, accuracy_level 4: they may be rounded to int8
  int8        whole rows, which is the only form with activations of f32
  int8+int8   blocks of 32, which always rounds activations

while moe-run has blocks of 32 in all of them. Not part of the tests. Needs
pip's onnxruntime, onnx and numpy.

examples:
  onnxruntime_layer.py --bin build/bin
  onnxruntime_layer.py --cells 'f32:1,512;int4:1;int8:1' --rounds 5
  onnxruntime_layer.py --layer E=32,k=1,H=1024,I=4096,act=gelu_tanh \\
    --cells f32:1,64
"""
import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto

import layers

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "models"))
from onnx_writer import MICROSOFT, ModelWriter  # noqa: E402

BLOCK = 32
BITS = {"f32": 32, "f16": 16, "int8": 8.5, "int4": 4.5}
CELLS = "f32:1,256,512;f16:1,16;int8:1;int8+int8:1,256;int4:1,16;int4+int8:1,16"
LARGEST_ERROR = {("f32", "float"): 1e-4, ("f16", "float"): 1e-2,
                 ("int8", "float"): 1e-4, ("int8", "int8"): 3e-2,
                 ("int4", "float"): 1e-4, ("int4", "int8"): 3e-2}


class LayerModel:
    """A model of one MoE or QMoE node, its inputs x and the router's logits."""

    def __init__(self, folder, layer, dtype, activations, seed):
        self.layer, self.dtype = layer, dtype
        self.bits = int(BITS[dtype])
        self.is_rowwise = dtype == "int8" and activations == "float"
        self.values = np.float16 if dtype == "f16" else np.float32
        if layer.gated and layer.activation != "silu":
            raise SystemExit("ONNX Runtime's CPU kernels have no gated "
                             + layer.activation)
        self.w = ModelWriter(folder, seed)
        kind = TensorProto.FLOAT16 if dtype == "f16" else TensorProto.FLOAT
        attributes = {"k": layer.k, "normalize_routing_weights": 1,
                      "activation_type": layer.activation}
        if layer.gated:  # swiglu of alpha 1, beta 0 and no limit is silu * up
            attributes.update(activation_type="swiglu", swiglu_fusion=1,
                              activation_alpha=1.0, activation_beta=0.0)
        if self.bits <= 8:
            attributes.update(
                expert_weight_bits=self.bits, weights_prepacked=0)
            if not self.is_rowwise:
                attributes["block_size"] = BLOCK
            if activations == "int8":
                attributes["accuracy_level"] = 4
        self.w.add_input("x", kind, ["tokens", layer.hidden])
        self.w.add_input("logits", kind, ["tokens", layer.experts])
        size = layer.inner * (2 if layer.gated else 1)
        inputs = (self.weights("fc1", size, layer.hidden)
                  + self.weights("fc2", layer.hidden, layer.inner))
        self.w.node("QMoE" if self.bits <= 8 else "MoE",
                    ["x", "logits", *inputs], "y", MICROSOFT, **attributes)
        self.w.add_output("y", kind, ["tokens", layer.hidden])
        self.path, self.num_bytes = self.w.save()

    def weights(self, name, size, depth):
        shape = [self.layer.experts, size, depth]
        if self.bits > 8:
            # Of one expert's random numbers, each expert has a multiple.
            part = depth ** -0.5 * self.w.rng.standard_normal(shape[1:],
                                                              np.float32)
            factors = self.w.rng.uniform(0.5, 1.5, self.layer.experts)
            return [self.w.weight(name, self.values, shape, (
                np.float32(factor) * part for factor in factors)), ""]
        scale_depth = depth
        if self.bits == 4:
            codes = self.w.codes(name, shape[:2] + [depth // 2])
        else:
            codes = self.w.weight(name, np.uint8, shape, (
                self.w.rng.integers(1, 256, shape[1:], np.uint8)
                for _ in range(shape[0])))
            scale_depth *= 17 ** 2  # these codes are 17 times as large
        blocks = [] if self.is_rowwise else [depth // BLOCK]
        scales = self.w.scales(
            name + "_scales", shape[:2] + blocks, scale_depth,
            np.float32 if self.is_rowwise else np.float16)
        return [codes, scales, ""]

    def matrix(self, name, expert):
        """Weights [size, depth] of one expert as numbers."""
        part = np.array(self.w.read(name)[expert])
        if self.bits > 8:
            return part.astype(np.float32)
        if self.bits == 4:
            part = np.stack([part & 15, part >> 4], -1).reshape(len(part), -1)
        scales = self.w.read(name + "_scales")[expert].astype(np.float32)
        scales = scales.reshape(len(part), -1)
        numbers = part.astype(np.float32) - (1 << (self.bits - 1))
        blocks = numbers.reshape(*scales.shape, -1) * scales[..., None]
        return blocks.reshape(len(part), -1)

    def expected_row(self, x, experts, logits):
        """What one token's result is."""
        mix = np.exp(logits[experts].astype(np.float64))
        y = np.zeros(self.layer.hidden)
        for expert, weight in zip(experts, mix / mix.sum()):
            inner = self.matrix("fc1", expert) @ x.astype(np.float32)
            up = inner[1::2] if self.layer.gated else 1
            gate = inner[0::2] if self.layer.gated else inner
            y += weight * (self.matrix("fc2", expert)
                           @ (activate(self.layer.activation, gate) * up))
        return y


def activate(name, x):
    if name == "relu":
        return np.maximum(x, 0)
    if name == "silu":
        return x / (1 + np.exp(-x))
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x ** 3)))


def open_session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options,
                                providers=["CPUExecutionProvider"])


class Peer:
    """ONNX Runtime with the weights of one type."""

    def __init__(self, options, scratch, dtype, activations):
        layer = options.layer
        self.models, self.sessions, self.calls = [], [], itertools.count()
        for copy in range(layer.copies(BITS[dtype])):
            folder = os.path.join(scratch, f"{dtype}-{activations}-{copy}")
            model = LayerModel(folder, layer, dtype, activations, copy)
            self.models.append(model)
            self.sessions.append(open_session(model.path, options.threads))
        self.limit = LARGEST_ERROR[dtype, activations]

    def set_routings(self, routings):
        """Logits under which the experts of the routings are chosen."""
        model, rng = self.models[0], np.random.default_rng(1)
        x = rng.standard_normal((routings.shape[1], model.layer.hidden),
                                np.float32).astype(model.values)
        self.routings, self.feeds = routings, []
        for experts in routings:
            logits = np.full((len(x), model.layer.experts), -20.0, np.float32)
            np.put_along_axis(logits, experts, rng.uniform(
                0, 1, experts.shape).astype(np.float32), axis=1)
            self.feeds.append({"x": x, "logits": logits.astype(model.values)})

    def call(self):
        """Milliseconds of the next call, and its result."""
        index = next(self.calls)
        session = self.sessions[index % len(self.sessions)]
        feeds = self.feeds[index % len(self.feeds)]
        begin = time.perf_counter()
        y, = session.run(None, feeds)
        return 1e3 * (time.perf_counter() - begin), index, y

    def check(self, index, y):
        feeds = self.feeds[index % len(self.feeds)]
        expected = self.models[index % len(self.models)].expected_row(
            feeds["x"][0], self.routings[index % len(self.routings)][0],
            feeds["logits"][0])
        error = np.abs(y[0] - expected).max() / np.abs(expected).max()
        if not error <= self.limit:
            raise SystemExit(f"ONNX Runtime's {self.models[0].dtype} row is "
                             f"wrong by {error:.2g} of its largest number")

    def time(self, seconds):
        for _ in range(2):
            self.call()
        times = []
        while sum(times) < 1e3 * seconds or len(times) < 3:
            milliseconds, index, y = self.call()
            times.append(milliseconds)
        self.check(index, y)
        return statistics.median(times)


def compare_layers(options, scratch):
    layers.print_header("ONNX Runtime")
    kinds = dict.fromkeys((c.dtype, c.activations) for c in options.cells)
    for dtype, activations in kinds:
        peer = Peer(options, scratch, dtype, activations)
        for cell in options.cells:
            if (cell.dtype, cell.activations) != (dtype, activations):
                continue
            peer.set_routings(layers.make_routings(
                options.layer, cell.tokens, options.routing))
            layers.compare(options, cell, lambda: peer.time(options.seconds))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    layers.add_arguments(parser, CELLS)
    parser.add_argument("--scratch", metavar="FOLDER",
                        help="for models, some GB (default: that of the "
                             "system)")
    options = parser.parse_args()
    for cell in options.cells:
        if (cell.dtype, cell.activations) not in LARGEST_ERROR:
            parser.error(f"ONNX Runtime does not run {cell.name()} on CPUs")
    if options.layer.hidden % BLOCK or options.layer.inner % BLOCK:
        parser.error(f"H and I must be multiples of {BLOCK}")
    print(f"onnxruntime {ort.__version__}, {options.threads} threads, medians "
          f"of {options.rounds} rounds, {options.layer.text}, "
          f"{options.routing} routing\n")
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        compare_layers(options, scratch)


if __name__ == "__main__":
    main()
