#!/usr/bin/env python3
"""Times a language model with a cache in ONNX Runtime and in moe-run, side by side.

Both run the same file on the same machine with the same number of threads, in
alternating rounds, so that a ratio means something. Needs pip's onnxruntime and
numpy; not part of the test suite.

usage: onnxruntime_decode.py [--model FOLDER/model.onnx] [--bin build/bin]
                             [--threads 2] [--rounds 5]
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime as ort

CELLS = [{"batch": 1, "seq": 256, "past": 0}, {"batch": 1, "seq": 1, "past": 128}]


def feeds(session, shape):
    """Inputs of the given shape: every dimension by its symbol's name."""
    names = dict(shape)
    values = {}
    for port in session.get_inputs():
        dims = [d if isinstance(d, int) else eval(d, {}, names) for d in port.shape]
        if port.name == "position_ids":
            array = np.arange(shape["past"], shape["past"] + shape["seq"])
            array = np.broadcast_to(array, dims).astype(np.int64)
        elif port.name == "attention_mask":
            array = np.ones(dims, np.int64)
        elif "int64" in port.type:
            array = np.random.default_rng(0).integers(0, 1000, dims)
        else:
            array = np.random.default_rng(0).standard_normal(dims).astype(np.float32)
        values[port.name] = array
    return values


def time_onnxruntime(session, values, seconds=1.0):
    for _ in range(3):
        session.run(["logits"], values)
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        session.run(["logits"], values)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def time_moe_run(options, plan, shape):
    text = ",".join(f"{k}={v}" for k, v in shape.items())
    command = [f"{options.bin}/moe-run", "bench", plan, "--shape", text,
               "--threads", str(options.threads), "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    return report["cells"][0]["median_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="test/models/prmoe/prmoe-lm/model.onnx")
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session = ort.InferenceSession(options.model, session_options, providers=["CPUExecutionProvider"])
    with tempfile.TemporaryDirectory() as scratch:
        plan = f"{scratch}/model.moeplan"
        subprocess.run([f"{options.bin}/moe-opt", options.model, "-o", plan, "--ranks=1"], check=True, timeout=120)
        print(f"onnxruntime {ort.__version__}, {options.threads} threads, medians of {options.rounds} rounds")
        print("| shape | ONNX Runtime ms | moe-run ms | ratio |\n|---|---|---|---|")
        for shape in CELLS:
            values = feeds(session, shape)
            theirs, ours = [], []
            for _ in range(options.rounds):
                theirs.append(time_onnxruntime(session, values))
                ours.append(time_moe_run(options, plan, shape))
            a, b = statistics.median(theirs), statistics.median(ours)
            print(f"| {shape} | {a:.3f} | {b:.3f} | {a / b:.2f} |", flush=True)


if __name__ == "__main__":
    main()
