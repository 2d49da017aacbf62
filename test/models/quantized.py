#!/usr/bin/env python3
"""Makes the models of test/models/quantized: weights of integers in every form
that files have, with the results of ONNX Runtime's CPU kernels as the
reference. The last ones are models of the other folders, quantized.

usage: quantized.py [NAME..]    (needs numpy, onnx and onnxruntime)
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

MS = "com.microsoft"
TYPES = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16,
         np.int64: TensorProto.INT64}


def pack(codes, bits):
    """Codes [.., n] as bytes [.., ceil(n * bits / 8)], low bits first."""
    per_byte = 8 // bits
    extra = -codes.shape[-1] % per_byte
    widths = [(0, 0)] * (codes.ndim - 1) + [(0, extra)]
    codes = np.pad(codes.astype(np.uint8), widths)
    codes = codes.reshape(*codes.shape[:-1], -1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    return np.bitwise_or.reduce(codes << shifts, axis=-1).astype(np.uint8)


class Model:
    """One graph of rows x [T, in]."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []
        self.inputs, self.outputs = [], []
        self.limits = {}  # of inputs that are indices

    def weight(self, name, values, data_type=None):
        if data_type is None:
            tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        else:
            # Integers of few bits: elements in order, whatever the rows are.
            bits = 2 if data_type in (25, 26) else 4
            data = pack((values.reshape(-1) & ((1 << bits) - 1)), bits)
            tensor = TensorProto(name=name, data_type=data_type,
                                 dims=values.shape, raw_data=data.tobytes())
        self.weights.append(tensor)
        return name

    def floats(self, *shape, scale=1.0):
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def scales(self, *shape, dtype=np.float32, bits=4):
        low, high = 0.5 / (1 << bits), 1.0 / (1 << bits)
        # Values that f16 has, so that every form of them is the same number.
        values = self.random.uniform(low, high, shape)
        return values.astype(np.float16).astype(dtype)

    def node(self, op, inputs, outputs, domain="", **attributes):
        self.nodes.append(helper.make_node(
            op, inputs, outputs, name=f"{op}_{len(self.nodes)}", domain=domain,
            **attributes))
        return outputs[0]

    def port(self, ports, name, *dims, dtype=np.float32):
        ports.append(helper.make_tensor_value_info(name, TYPES[dtype], dims))
        return name

    def finish(self, opset):
        graph = helper.make_graph(self.nodes, "g", self.inputs, self.outputs,
                                  self.weights)
        return helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)])


def matmul_nbits(m, k, n, bits, block, zeros=None, bias=False, level=0,
                 dtype=np.float32, groups=False):
    """One product; zeros: None, "packed" or "float"; groups: the g_idx, with
    what holds without it, with blocks whose rows lie "apart", or "any"."""
    x = m.port(m.inputs, "x", "tokens", k, dtype=dtype)
    y = m.port(m.outputs, "y", "tokens", n, dtype=dtype)
    blocks = -(-k // block)
    codes = m.random.integers(0, 1 << bits, (n, blocks, block))
    inputs = [x, m.weight("w.q", pack(codes, bits)),
              m.weight("w.s", m.scales(n, blocks, dtype=dtype, bits=bits))]
    middle = m.random.integers((1 << bits) // 4, (1 << bits) // 4 * 3 + 1,
                               (n, blocks))
    if zeros == "packed":
        inputs.append(m.weight("w.z", pack(middle, bits)))
    elif zeros == "float":
        values = middle + m.random.uniform(-0.5, 0.5, (n, blocks))
        inputs.append(m.weight("w.z", values.astype(dtype)))
    if groups:
        inputs += [""] * (4 - len(inputs))
        of_rows = np.arange(k) // block
        if groups == "apart":
            of_rows = m.random.permutation(of_rows)
        elif groups == "any":
            of_rows = m.random.integers(0, blocks, k)
        # Numbers of int32_data: varints.
        m.weights.append(helper.make_tensor("w.g", TensorProto.INT32, [k],
                                            of_rows.tolist()))
        inputs.append("w.g")
    if bias:
        inputs += [""] * (5 - len(inputs))
        inputs.append(m.weight("b", m.floats(n).astype(dtype)))
    m.node("MatMulNBits", inputs, [y], MS, K=k, N=n, bits=bits,
           block_size=block, accuracy_level=level)
    return 21


def gather_blocks(m, shape, kind, block, gather_axis=0, quantize_axis=-1,
                  zeros=False, bits=4, dtype=np.float32):
    """Rows of a table of integers by ids [tokens, 5]. The kind "bytes" is
    uint8, which holds 8 / bits codes along the last axis."""
    y_dims = list(shape)
    y_dims[gather_axis:gather_axis + 1] = ["tokens", 5]
    ids = m.port(m.inputs, "ids", "tokens", 5, dtype=np.int64)
    y = m.port(m.outputs, "y", *y_dims, dtype=dtype)
    m.limits = {"ids": shape[gather_axis]}
    axis = quantize_axis % len(shape)
    of_scales = list(shape)
    of_scales[axis] = -(-shape[axis] // block)
    is_bytes = kind == "bytes"
    _, signed, data_type = (bits, False, None) if is_bytes else INTEGERS[kind]
    low = -(1 << (bits - 1)) if signed else 0

    def integers(name, values):
        if is_bytes:
            return m.weight(name, pack(values, bits))
        return m.weight(name, values.astype(np.int8 if signed else np.uint8),
                        data_type)

    inputs = [integers("w.q", m.random.integers(low, low + (1 << bits), shape)),
              ids, m.weight("w.s", m.scales(*of_scales, dtype=dtype, bits=bits))]
    if zeros:
        inputs.append(integers("w.z", m.random.integers(
            low + (1 << bits) // 4, low + (1 << bits) // 4 * 3, of_scales)))
    attributes = {"bits": bits} if is_bytes else {}
    m.node("GatherBlockQuantized", inputs, [y], MS, block_size=block,
           gather_axis=gather_axis, quantize_axis=quantize_axis, **attributes)
    return 21


def qdq_gather(m, shape, kind, **form):
    """Rows of a dequantized table by ids [tokens, 5]."""
    ids = m.port(m.inputs, "ids", "tokens", 5, dtype=np.int64)
    y = m.port(m.outputs, "y", "tokens", 5, shape[1])
    m.limits = {"ids": shape[0]}
    m.node("Gather", [dequantize(m, "w", shape, kind, **form), ids], [y])
    return 21


def qmoe(m, experts, hidden, inner, bits, block=0, zeros=False, bias=False,
         activation="silu", fusion=0, dtype=np.float32,
         scale_dtype=None, router_weights=False, **attributes):
    """One layer."""
    x = m.port(m.inputs, "x", "tokens", hidden, dtype=dtype)
    logits = m.port(m.inputs, "logits", "tokens", experts, dtype=dtype)
    y = m.port(m.outputs, "y", "tokens", hidden, dtype=dtype)
    inputs = [x, logits] + [""] * 13

    def matrix(index, rows, columns):
        blocks = -(-columns // block) if block else 1
        codes = m.random.integers(0, 1 << bits, (experts, rows, columns))
        shape = (experts, rows, blocks) if block else (experts, rows)
        name = f"fc{index + 1}"
        scales = m.scales(*shape, dtype=scale_dtype or dtype, bits=bits)
        at = 2 + 3 * index
        inputs[at] = m.weight(name + ".q", pack(codes, bits))
        inputs[at + 1] = m.weight(name + ".s", scales)
        if bias:
            values = m.floats(experts, rows, scale=0.1)
            inputs[at + 2] = m.weight(name + ".b", values.astype(dtype))
        if zeros:
            middle = m.random.integers((1 << bits) // 4,
                                       (1 << bits) // 4 * 3, shape)
            inputs[11 + index] = m.weight(name + ".z", pack(middle, bits))

    matrix(0, inner * (2 if fusion else 1), hidden)
    matrix(1, hidden, inner)
    if router_weights:
        inputs[14] = m.node("Sigmoid", [logits], ["mix"])
    while not inputs[-1]:
        inputs.pop()
    attributes.setdefault("k", 2)
    # The CPU kernel always does, unless it has router weights.
    attributes.setdefault("normalize_routing_weights", 1)
    if block:
        attributes["block_size"] = block
    m.node("QMoE", inputs, [y], MS, expert_weight_bits=bits,
           activation_type=activation, swiglu_fusion=fusion, **attributes)
    return 21


# For each type: bits, sign and its number in TensorProto.
INTEGERS = {"int8": (8, True, None), "uint8": (8, False, None),
            "int4": (4, True, 22), "uint4": (4, False, 21)}


def dequantize(m, name, shape, kind, axis=None, block=0, zeros=False,
               dtype=np.float32):
    """The name of a dequantized weight."""
    bits, signed, data_type = INTEGERS[kind]
    low = -(1 << (bits - 1)) if signed else 0
    codes = m.random.integers(low, low + (1 << bits), shape)
    if axis is None:
        of_scales = ()
    elif block:
        of_scales = list(shape)
        of_scales[axis] = -(-shape[axis] // block)
    else:
        of_scales = (shape[axis],)
    integers = np.int8 if signed else np.uint8
    scales = np.asarray(m.scales(*of_scales, dtype=dtype, bits=bits))
    inputs = [m.weight(name + ".q", codes.astype(integers), data_type),
              m.weight(name + ".s", scales)]
    if zeros:
        middle = np.asarray(m.random.integers(low + (1 << bits) // 4,
                                              low + (1 << bits) // 4 * 3,
                                              of_scales))
        inputs.append(m.weight(name + ".z", middle.astype(integers), data_type))
    attributes = {} if axis is None else {"axis": axis}
    if block:
        attributes["block_size"] = block
    return m.node("DequantizeLinear", inputs, [name], **attributes)


def qdq_matmul(m, k, n, kind, op="MatMul", **form):
    """x [T, k] times a dequantized weight, [k, n] or for Gemm [n, k]."""
    x = m.port(m.inputs, "x", "tokens", k)
    y = m.port(m.outputs, "y", "tokens", n)
    shape = (n, k) if op == "Gemm" else (k, n)
    w = dequantize(m, "w", shape, kind, **form)
    m.node(op, [x, w], [y], **({"transB": 1} if op == "Gemm" else {}))
    return 21


MODELS = {
    "nbits4_block32": lambda m: matmul_nbits(m, 96, 40, 4, 32),
    "nbits4_block16_zeros": lambda m: matmul_nbits(m, 80, 24, 4, 16, "packed"),
    "nbits4_block128_bias": lambda m: matmul_nbits(m, 200, 33, 4, 128,
                                                   bias=True),
    "nbits8_block64_zeros": lambda m: matmul_nbits(m, 160, 24, 8, 64, "packed"),
    "nbits2_block32": lambda m: matmul_nbits(m, 96, 24, 2, 32),
    "nbits2_block64_zeros": lambda m: matmul_nbits(m, 128, 24, 2, 64, "packed"),
    "nbits4_float_zeros": lambda m: matmul_nbits(m, 96, 24, 4, 32, "float"),
    "nbits4_level4": lambda m: matmul_nbits(m, 128, 48, 4, 32, level=4),
    "nbits4_level4_zeros": lambda m: matmul_nbits(m, 256, 48, 4, 64, "packed",
                                                  level=4),
    "nbits8_level4": lambda m: matmul_nbits(m, 128, 48, 8, 32, level=4),
    "nbits4_f16": lambda m: matmul_nbits(m, 96, 40, 4, 32, dtype=np.float16),
    "qmoe4_row": lambda m: qmoe(m, 4, 64, 32, 4, bias=True),
    "qmoe4_block32_zeros": lambda m: qmoe(m, 4, 64, 96, 4, 32, zeros=True),
    "qmoe4_f16_scales": lambda m: qmoe(m, 4, 64, 32, 4, 32,
                                       scale_dtype=np.float16),
    "qmoe4_block128": lambda m: qmoe(m, 8, 256, 128, 4, 128,
                                     activation="gelu", k=4),
    "qmoe8_row_zeros": lambda m: qmoe(m, 4, 64, 32, 8, zeros=True, bias=True,
                                      activation="relu"),
    "qmoe8_block64": lambda m: qmoe(m, 4, 128, 64, 8, 64,
                                    activation="identity"),
    "qmoe2_block32": lambda m: qmoe(m, 4, 64, 32, 2, 32, zeros=True),
    "qmoe2_row": lambda m: qmoe(m, 4, 64, 32, 2),
    "qmoe4_swiglu": lambda m: qmoe(m, 4, 64, 32, 4, 32, bias=True,
                                   activation="swiglu", fusion=1,
                                   activation_alpha=1.702,
                                   activation_beta=1.0, swiglu_limit=7.0),
    "qmoe4_router_weights": lambda m: qmoe(m, 4, 64, 32, 4, 32,
                                           router_weights=True),
    "qmoe4_f16": lambda m: qmoe(m, 4, 64, 32, 4, 32, dtype=np.float16),
    "qdq_int8_tensor": lambda m: qdq_matmul(m, 64, 40, "int8"),
    "qdq_uint8_tensor_zeros": lambda m: qdq_matmul(m, 64, 40, "uint8",
                                                   op="Gemm", zeros=True),
    "qdq_int8_columns": lambda m: qdq_matmul(m, 72, 40, "int8", axis=1),
    "qdq_uint8_rows": lambda m: qdq_matmul(m, 64, 40, "uint8", op="Gemm",
                                           axis=0),
    "qdq_int8_along_sums": lambda m: qdq_matmul(m, 64, 40, "int8", axis=0),
    "qdq_int4_block32": lambda m: qdq_matmul(m, 96, 41, "int4", axis=0,
                                             block=32),
    "qdq_uint4_block32_zeros": lambda m: qdq_matmul(m, 96, 40, "uint4", axis=0,
                                                    block=32, zeros=True),
    "qdq_uint4_block16_gemm": lambda m: qdq_matmul(m, 80, 40, "uint4",
                                                   op="Gemm", axis=1, block=16,
                                                   zeros=True),
    "qdq_int4_columns": lambda m: qdq_matmul(m, 64, 40, "int4", axis=1,
                                             zeros=True),
    "qdq_int4_tensor": lambda m: qdq_matmul(m, 64, 40, "int4", op="Gemm"),
    "qdq_int8_block_columns": lambda m: qdq_matmul(m, 64, 64, "int8", axis=1,
                                                   block=32),
    "qmoe4_level4": lambda m: qmoe(m, 4, 64, 32, 4, 32, accuracy_level=4),
    "qmoe4_fc2_bits": lambda m: qmoe(m, 4, 64, 32, 4, 32,
                                     fc1_expert_weight_bits=4,
                                     fc2_expert_weight_bits=4),
    # With zero points, ONNX Runtime reads others where there is a g_idx.
    "nbits4_groups": lambda m: matmul_nbits(m, 320, 24, 4, 16, groups=True),
    "gather4_block16": lambda m: gather_blocks(m, (50, 72), "bytes", 16),
    "gather4_zeros": lambda m: gather_blocks(m, (50, 80), "bytes", 16,
                                             zeros=True),
    "gather8_block32": lambda m: gather_blocks(m, (50, 70), "bytes", 32,
                                               bits=8, zeros=True),
    "gather_uint4": lambda m: gather_blocks(m, (50, 64), "uint4", 32),
    "gather_int4_zeros_f16": lambda m: gather_blocks(
        m, (50, 64), "int4", 32, zeros=True, dtype=np.float16),
    "gather_int4_other_axes": lambda m: gather_blocks(
        m, (3, 40, 32), "int4", 16, gather_axis=1, quantize_axis=0),
    "gather_uint4_inner": lambda m: gather_blocks(
        m, (3, 40, 32), "uint4", 16, gather_axis=2, quantize_axis=1,
        zeros=True),
    "gather_along_blocks": lambda m: gather_blocks(
        m, (6, 64), "int4", 16, gather_axis=1, quantize_axis=1),
    "qdq_gather_int8_rows": lambda m: qdq_gather(m, (50, 64), "int8", axis=0),
    "qdq_gather_uint4_tensor": lambda m: qdq_gather(m, (50, 64), "uint4"),
    "qdq_gather_int8_columns": lambda m: qdq_gather(m, (50, 64), "int8",
                                                    axis=1),
    "nbits4_groups_apart": lambda m: matmul_nbits(m, 320, 24, 4, 32,
                                                  groups="apart"),
    "nbits4_groups_last": lambda m: matmul_nbits(m, 300, 24, 4, 32, bias=True,
                                                 groups="apart"),
    "nbits4_groups_any": lambda m: matmul_nbits(m, 96, 24, 4, 32,
                                                groups="any"),
}
TOKENS = (1, 7)

# Source, the types of its weights, and how they are quantized.
SOURCES = {
    "model_deepspeed_int8": ("deepspeed/v0_18_0_k2_d1_r0", "int8", "columns"),
    "model_looped_int8": ("hf-more/mixtral-ts-static", "int8", "tensor"),
    "model_masked_int4": ("hf/mixtral-mobius-f32-default", "int4", "blocks"),
    "model_gathered_int8": ("hf/mixtral-dynamo-batched_mm", "int8", "columns"),
    "model_stacked_int8": ("hf-more/llama4-block-dynamo", "int8", "experts"),
    "model_stacked_uint8": ("hf-more/llama4-block-dynamo", "uint8", "tensor"),
}

# Where kernels round to 8 bits or f16, and we do not, or to other blocks.
TOLERANCES = {"nbits4_level4_zeros": 0.1, "qmoe8_block64": 0.2,
              "nbits4_f16": 0.01, "qmoe4_f16": 0.01, "qmoe4_block128": 0.005}

# Grids that no blocks along the sums of a product can say.
WITHOUT_CODES = {"nbits4_float_zeros", "nbits4_groups_any",
                 "qdq_int8_along_sums", "qdq_int8_block_columns"}


def quantize(array, kind, form, along):
    """Codes, scales, zero points and the attributes of DequantizeLinear."""
    bits, signed, _ = INTEGERS[kind]
    axes = tuple(range(array.ndim))
    attributes, width = {}, array.shape[along]
    if form == "columns":
        # One scale for each output, of all experts.
        channel = array.ndim - 1 if along == array.ndim - 2 else array.ndim - 2
        axes = tuple(axis for axis in axes if axis != channel)
        attributes["axis"] = channel
    elif form == "experts" and array.ndim == 3:
        axes = (1, 2)
        attributes["axis"] = 0
    elif form == "blocks":
        width = 16
        axes = (along + 1,)
        attributes = {"axis": along, "block_size": width}
    shape = array.shape
    blocked = array
    if form == "blocks":
        blocked = array.reshape(*shape[:along], shape[along] // width, width,
                                *shape[along + 1:])
    low = np.minimum(blocked.min(axis=axes, keepdims=True), 0)
    high = np.maximum(blocked.max(axis=axes, keepdims=True), 0)
    largest = (1 << (bits - 1)) - 1
    if signed:
        scale = np.maximum(-low, high) / largest
        codes = np.clip(np.rint(blocked / scale), -largest, largest)
        zero = np.zeros(scale.shape, np.int8)
        codes = codes.astype(np.int8)
    else:
        scale = (high - low) / ((1 << bits) - 1)
        zero = np.rint(-low / scale)
        codes = np.rint(blocked / scale) + zero
        codes = np.clip(codes, 0, (1 << bits) - 1).astype(np.uint8)
        zero = zero.astype(np.uint8)
    given = ()
    if form == "blocks":
        given = scale.shape[:along + 1] + scale.shape[along + 2:]
    elif attributes:
        given = (shape[attributes["axis"]],)
    return (codes.reshape(shape), scale.reshape(given).astype(np.float32),
            zero.reshape(given), attributes)


def is_product(node, name):
    return node.op_type in ("MatMul", "Gemm") and name in node.input[1:2]


def quantize_model(folder, kind, form):
    """A model whose products read dequantized weights."""
    model = onnx.load(folder / "model.onnx")
    m = Model(0)
    nodes, kept = [], []
    for tensor in model.graph.initializer:
        users = [node for node in model.graph.node if tensor.name in node.input]
        gathered = any(node.op_type in ("GatherND", "Gather") for node in users)
        products = any(is_product(node, tensor.name) for node in users)
        transposed = any(node.op_type in ("Gemm", "Transpose")
                         for node in users)
        is_stacked = len(tensor.dims) == 3 and (gathered or products)
        if not is_stacked and not (len(tensor.dims) == 2 and products):
            kept.append(tensor)
            continue
        array = numpy_helper.to_array(tensor)
        # Gathered matrices are [out, in] and stand on the left.
        along = array.ndim - (1 if transposed or gathered else 2)
        codes, scale, zero, attributes = quantize(array, kind, form, along)
        name = tensor.name
        inputs = [m.weight(name + ".q", codes, INTEGERS[kind][2]),
                  m.weight(name + ".s", scale)]
        if INTEGERS[kind][1] is False:
            inputs.append(m.weight(name + ".z", zero, INTEGERS[kind][2]))
        nodes.append(helper.make_node("DequantizeLinear", inputs, [name],
                                      name=name + ".dequantize", **attributes))
    nodes += model.graph.node
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(kept + m.weights)
    return model


def run_and_save(folder, model, all_inputs, check):
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # No fusion of the operators that are to be tested.
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"])
    outputs = [port.name for port in session.get_outputs()]
    for i, inputs in enumerate(all_inputs):
        results = session.run(outputs, inputs)
        np.savez(folder / f"inputs_{i}.npz", **inputs)
        np.savez(folder / f"expected_{i}.npz", **dict(zip(outputs, results)))
    (folder / "check.json").write_text(json.dumps(check) + "\n")


def make_small(folder, name, make, seed):
    m = Model(seed)
    opset = make(m)
    random = np.random.default_rng(seed + 1)
    dtype = np.float32 if m.inputs[0].type.tensor_type.elem_type == 1 else (
        np.float16)
    all_inputs = []
    for tokens in TOKENS:
        inputs = {}
        for port in m.inputs:
            width = port.type.tensor_type.shape.dim[-1].dim_value
            if port.name in m.limits:
                limit = m.limits[port.name]
                inputs[port.name] = random.integers(-limit, limit,
                                                    (tokens, width))
                continue
            inputs[port.name] = random.standard_normal(
                (tokens, width)).astype(dtype)
        all_inputs.append(inputs)
    check = {"atol": TOLERANCES.get(name, 1e-4), "rtol": 1e-3,
             "codes": name not in WITHOUT_CODES}
    if "level4" in name:
        check["opt"] = ["--activations=file"]
    for node in m.nodes:
        if node.op_type == "QMoE":
            k = next(a.i for a in node.attribute if a.name == "k")
            experts = m.inputs[1].type.tensor_type.shape.dim[-1].dim_value
            check["moe_layers"] = [[experts, k]]
    run_and_save(folder, m.finish(opset), all_inputs, check)


def make_quantized(folder, source, kind, form):
    check = json.loads((source / "check.json").read_text())
    check["codes"] = True
    all_inputs = []
    for path in sorted(source.glob("inputs_*.npz")):
        all_inputs.append(dict(np.load(path)))
    run_and_save(folder, quantize_model(source, kind, form), all_inputs, check)


def main():
    models = pathlib.Path(__file__).resolve().parent
    wanted = sys.argv[1:]
    for seed, (name, make) in enumerate(MODELS.items()):
        if not wanted or name in wanted:
            make_small(models / "quantized" / name, name, make, 10 * seed)
    for name, (source, kind, form) in SOURCES.items():
        if not wanted or name in wanted:
            make_quantized(models / "quantized" / name, models / source, kind,
                           form)


if __name__ == "__main__":
    main()
