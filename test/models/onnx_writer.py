"""Writes ONNX models whose weights are streamed into one external file.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

A model may be larger than memory: weights come as chunks, and no chunk is kept.
"""
import math
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
ALIGNMENT = 4096  # of each weight in the file, so that it can be mapped
CODE_DEVIATION = 4.3  # of a code between 1 and 15, chosen evenly


class ModelWriter:
    """Nodes, ports and weights of a model in a folder."""

    def __init__(self, folder, seed=0):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "model.onnx")
        self.rng = np.random.default_rng(seed)
        self._data = open(self.path + ".data", "wb")
        self.places = {}  # name: dtype, shape and offset of external weights
        self._nodes, self._weights = [], []
        self._inputs, self._outputs = [], []

    # Ports and nodes.

    def add_input(self, name, kind, dims):
        self._inputs.append(helper.make_tensor_value_info(name, kind, dims))
        return name

    def add_output(self, name, kind, dims):
        self._outputs.append(helper.make_tensor_value_info(name, kind, dims))
        return name

    def node(self, op_type, inputs, outputs, domain="", **attributes):
        """Adds a node; `outputs` is a name or a list of names, and returned."""
        names = [outputs] if isinstance(outputs, str) else outputs
        self._nodes.append(helper.make_node(
            op_type, inputs, names, name=names[0], domain=domain, **attributes))
        return outputs

    def constant(self, name, array):
        """A small value inside of the model file."""
        self._weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    # Weights.

    def weight(self, name, dtype, shape, chunks):
        """A weight in the external file: `chunks` are its parts in order."""
        self._data.write(b"\0" * (-self._data.tell() % ALIGNMENT))
        offset = self._data.tell()
        for chunk in chunks:
            np.ascontiguousarray(chunk, dtype).tofile(self._data)
        length = math.prod(shape) * np.dtype(dtype).itemsize
        if self._data.tell() != offset + length:
            raise ValueError(f"{name}: chunks do not make up {shape}")
        self.places[name] = (np.dtype(dtype), tuple(shape), offset)
        tensor = TensorProto(
            name=name, dims=shape, data_location=TensorProto.EXTERNAL,
            data_type=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
        for key, value in (("location", os.path.basename(self._data.name)),
                           ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        self._weights.append(tensor)
        return name

    def normal(self, name, shape, deviation, dtype=np.float32):
        """Normally distributed, written by the first dimension."""
        part = shape[1:] if len(shape) > 2 else shape
        count = shape[0] if len(shape) > 2 else 1
        return self.weight(name, dtype, shape, (
            deviation * self.rng.standard_normal(part, np.float32)
            for _ in range(count)))

    def codes(self, name, shape):
        """Two 4-bit codes a byte, between 1 and 15: of mean 8, their zero."""
        low_high = np.arange(256, dtype=np.uint8)
        low_high[low_high & 15 == 0] |= 8
        low_high[low_high >> 4 == 0] |= 8 << 4
        count = shape[0] if len(shape) > 2 else 1
        part = math.prod(shape) // count
        return self.weight(name, np.uint8, shape, (
            low_high[np.frombuffer(self.rng.bytes(part), np.uint8)]
            for _ in range(count)))

    def scales(self, name, shape, depth, dtype):
        """Scales with which `codes` are as large as normal(1 / sqrt(depth))."""
        top = 1.0 / (CODE_DEVIATION * math.sqrt(depth))
        return self.weight(name, dtype, shape, [
            top * self.rng.uniform(0.5, 1.5, shape).astype(np.float32)])

    # The file.

    def read(self, name):
        """A weight of a saved model, mapped."""
        dtype, shape, offset = self.places[name]
        return np.memmap(self._data.name, dtype, "r", offset, shape)

    def save(self):
        """Writes the model; returns its path and the bytes of its weights."""
        num_bytes = self._data.tell()
        self._data.close()
        graph = helper.make_graph(self._nodes, "generated", self._inputs,
                                  self._outputs, self._weights)
        opsets = [helper.make_opsetid("", 21),
                  helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10,
                                  producer_name="MoeCompiler test/models")
        onnx.save_model(model, self.path)
        return self.path, num_bytes
