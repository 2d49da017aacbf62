#!/usr/bin/env python3
"""Times a language model with a cache in ONNX Runtime and in moe-run.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

Both run the same file on the same machine with the same number of threads, in
alternating rounds, so that a ratio means something. Needs pip's onnxruntime and
numpy; not part of the test suite.

examples:
  onnxruntime_decode.py
  onnxruntime_decode.py --model /tmp/olmoe/model.onnx --rounds 3 \\
    --shape batch_size=1,sequence_length=1,past_sequence_length=128
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime as ort

SHAPES = ["batch=1,seq=256,past=0", "batch=1,seq=1,past=128"]
MOST_IDS = 1000  # made ids are smaller, as every vocabulary is larger


def parse_shape(given):
    """NAME=SIZE,.. as sizes by name."""
    if not re.fullmatch(r"\w+=\d+(,\w+=\d+)*", given):
        raise argparse.ArgumentTypeError(
            f"'{given}' is no shape; expected as in {SHAPES[0]}")
    return {name: int(size) for name, size in
            (part.split("=") for part in given.split(","))}


def text(shape):
    return ",".join(f"{name}={size}" for name, size in shape.items())


def lengths(shape):
    """New tokens and those of the past, by what their symbols are called."""
    past = sum(size for name, size in shape.items() if name.startswith("past"))
    new = [size for name, size in shape.items() if name.startswith("seq")]
    return (new[0] if new else 1), past


def size_of(dim, shape):
    """The size of a dimension: a number, a symbol, or a sum of symbols."""
    if isinstance(dim, int):
        return dim
    total = 0
    for name in dim.split("+"):
        name = name.strip()
        if name not in shape and not name.startswith("total"):
            raise SystemExit(f"--shape has no '{name}'")
        total += shape[name] if name in shape else sum(lengths(shape))
    return total


def feeds(session, shape):
    """Made inputs of a shape."""
    new, past = lengths(shape)
    rng = np.random.default_rng(0)
    values = {}
    for port in session.get_inputs():
        dims = [size_of(dim, shape) for dim in port.shape]
        if port.name == "position_ids":
            array = np.broadcast_to(np.arange(past, past + new), dims)
        elif port.name == "attention_mask":
            array = np.ones(dims)
        elif "int64" in port.type:
            array = rng.integers(0, MOST_IDS, dims)
        else:
            array = rng.standard_normal(dims, np.float32)
        values[port.name] = array.astype(
            np.int64 if "int64" in port.type else np.float32)
    return values


def time_onnxruntime(session, values, seconds):
    for _ in range(2):
        session.run(["logits"], values)
    times = []
    while sum(times) < 1e3 * seconds or len(times) < 3:
        begin = time.perf_counter()
        session.run(["logits"], values)
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def time_moe_run(options, plan, shape):
    command = [f"{options.bin}/moe-run", "bench", plan, "--shape", text(shape),
               "--seconds", str(options.seconds), "--verify=lazy",
               "--threads", str(options.threads), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=600)
    return json.loads(done.stdout)["cells"][0]["median_ms"]


def compare(options, session, plan, shape):
    values = feeds(session, shape)
    theirs, ours = [], []
    for _ in range(options.rounds):
        theirs.append(time_onnxruntime(session, values, options.seconds))
        ours.append(time_moe_run(options, plan, shape))
    a, b = statistics.median(theirs), statistics.median(ours)
    tokens = lengths(shape)[0] * 1e3
    print(f"| {text(shape)} | {a:.3f} | {b:.3f} | {tokens / a:.1f} "
          f"| {tokens / b:.1f} | {a / b:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model",
                        default="test/models/prmoe/prmoe-lm/model.onnx")
    parser.add_argument("--shape", type=parse_shape, action="append",
                        help="sizes by symbol; may be repeated (default: "
                             + " and ".join(SHAPES) + ")")
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0,
                        help="for a shape in a round")
    parser.add_argument("--compile", metavar="OPTIONS", default="",
                        help="more options of moe-opt, as one argument")
    parser.add_argument("--scratch", metavar="FOLDER", help="for the plan")
    options = parser.parse_args()

    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session = ort.InferenceSession(options.model, session_options,
                                   providers=["CPUExecutionProvider"])
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        plan = os.path.join(scratch, "model.moeplan")
        subprocess.run([f"{options.bin}/moe-opt", options.model, "-o", plan,
                        "--ranks=1", *options.compile.split()],
                       check=True, timeout=900)
        print(f"onnxruntime {ort.__version__}, {options.threads} threads, "
              f"medians of {options.rounds} rounds\n\n"
              "| shape | ONNX Runtime ms | moe-run ms | tokens/s | ours "
              "| ratio |\n|---|---|---|---|---|---|")
        for shape in options.shape or map(parse_shape, SHAPES):
            compare(options, session, plan, shape)


if __name__ == "__main__":
    main()
