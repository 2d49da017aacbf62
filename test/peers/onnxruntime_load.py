#!/usr/bin/env python3
"""Times how long ONNX Runtime and the runtime need until a model can run.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

Of ONNX Runtime the creation of a session; of the runtime library what makes a
model ready: loading the plan, a context, and the weights. Both in one process
that has done so before. Ratios are those of these two. And, for what a user
waits, a whole process of moe-run that loads the plan, runs it once on one row,
and ends. Files are in the page cache, as after they were written. The forms:

  one-file   an expert layer whose f32 weights are inside of the model
  external   the same weights in a file of their own, which ONNX Runtime maps
             and uses as they are
  dense      matrices of f32 in a file of their own, which it rearranges
  int4       an expert layer in blocks of 32 (QMoE), which it rearranges too

Not part of the tests. Needs pip's onnxruntime, onnx and numpy, moe-opt, and the
runtime's shared library.

examples:
  onnxruntime_load.py --bin build/bin
  onnxruntime_load.py --forms one-file,dense --rounds 7 --scratch /var/tmp
"""
import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto

import layers
from onnxruntime_layer import LayerModel, ModelWriter, open_session

LAYER = "E=64,k=8,H=2048,I=768,act=silu,gated"  # 1.2 GB of f32
DENSE_SIZE = 4096
DENSE_COUNT = 18  # also 1.2 GB


def write_layer(folder, dtype):
    model = LayerModel(folder, layers.Layer.parse(LAYER), dtype, "float", 0)
    return model.path, model.num_bytes


def write_one_file(folder):
    path, num_bytes = write_layer(folder, "f32")
    model = onnx.load(path)
    os.remove(path + ".data")
    onnx.save_model(model, path)
    return path, num_bytes


def write_dense(folder):
    writer = ModelWriter(folder)
    y = writer.add_input("x", TensorProto.FLOAT, ["tokens", DENSE_SIZE])
    for index in range(DENSE_COUNT):
        weight = writer.normal(f"weight.{index}", [DENSE_SIZE, DENSE_SIZE],
                               DENSE_SIZE ** -0.5)
        last = index + 1 == DENSE_COUNT
        y = writer.node("MatMul", [y, weight], "y" if last else f"y.{index}")
    writer.add_output(y, TensorProto.FLOAT, ["tokens", DENSE_SIZE])
    return writer.save()


FORMS = {"one-file": write_one_file,
         "external": lambda folder: write_layer(folder, "f32"),
         "dense": write_dense,
         "int4": lambda folder: write_layer(folder, "int4")}


def time_process(command):
    """Milliseconds of a process."""
    begin = time.perf_counter()
    done = subprocess.run(command, timeout=300, capture_output=True)
    milliseconds = 1e3 * (time.perf_counter() - begin)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n"
                         + done.stderr.decode(errors="replace"))
    return milliseconds


def time_session(path, threads):
    begin = time.perf_counter()
    open_session(path, threads)
    return 1e3 * (time.perf_counter() - begin)


class LoadOptions(ctypes.Structure):
    """moe_load_options of moe/moe.h."""

    _fields_ = [("lazy_verification", ctypes.c_int),
                ("weight_memory_limit", ctypes.c_uint64)]


class ContextOptions(ctypes.Structure):
    """moe_context_options of moe/moe.h."""

    _fields_ = [("num_threads", ctypes.c_int), ("timeout_ms", ctypes.c_int64),
                ("memory_limit", ctypes.c_uint64)]


class Library:
    """The runtime, as programs link it."""

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.c.moe_last_error.restype = ctypes.c_char_p
        for name in ("moe_context_initialize", "moe_context_release",
                     "moe_model_release"):
            getattr(self.c, name).argtypes = [ctypes.c_void_p]
        self.c.moe_context_create.argtypes = [ctypes.c_void_p] * 3

    def call(self, name, *arguments):
        if getattr(self.c, name)(*arguments):
            raise SystemExit(f"{name}: " + self.c.moe_last_error().decode())

    def time_load(self, plan, is_lazy, threads):
        model, context = ctypes.c_void_p(), ctypes.c_void_p()
        loading, running = LoadOptions(is_lazy), ContextOptions(threads)
        begin = time.perf_counter()
        self.call("moe_model_load", os.fsencode(plan), ctypes.byref(loading),
                  ctypes.byref(model))
        self.call("moe_context_create", model, ctypes.byref(running),
                  ctypes.byref(context))
        self.call("moe_context_initialize", context)
        milliseconds = 1e3 * (time.perf_counter() - begin)
        self.c.moe_context_release(context)
        self.c.moe_model_release(model)
        return milliseconds


class Ours:
    """The plan of a model, and times of loading it."""

    def __init__(self, options, model, folder):
        self.options = options
        self.library = Library(options.library)
        self.plan = os.path.join(folder, "model.moeplan")
        self.inputs = os.path.join(folder, "inputs.npz")
        subprocess.run([f"{options.bin}/moe-opt", model, "-o", self.plan],
                       check=True, timeout=900)
        session = open_session(model, options.threads)
        rng = np.random.default_rng(0)
        np.savez(self.inputs, **{
            port.name: rng.standard_normal((1, port.shape[1]), np.float32)
            for port in session.get_inputs()})

    def time(self, way):
        """Of a whole process, and of loading alone."""
        threads = self.options.threads
        whole = time_process(
            [f"{self.options.bin}/moe-run", "run", self.plan, "--inputs",
             self.inputs, f"--verify={way}", f"--threads={threads}"])
        return whole, self.library.time_load(self.plan, way == "lazy", threads)


def compare(options, form, folder):
    path, num_bytes = FORMS[form](folder)
    ours = Ours(options, path, folder)
    theirs, lazy, full = [], [], []
    for _ in range(options.rounds):
        theirs.append(time_session(path, options.threads))
        lazy.append(ours.time("lazy"))
        full.append(ours.time("full"))
    a = statistics.median(theirs)
    cells = [f"{form}, {num_bytes / 1e9:.2f} GB", f"{a:.1f}"]
    for times in (lazy, full):
        whole, alone = (statistics.median(part) for part in zip(*times))
        cells += [f"{whole:.1f}", f"{alone:.2f}", f"{alone / a:.3f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def parse_forms(text):
    for form in text.split(","):
        if form not in FORMS:
            raise argparse.ArgumentTypeError(
                f"'{form}' is none of {', '.join(FORMS)}")
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", type=parse_forms, default=",".join(FORMS),
                        help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", default="build/bin",
                        help="folder of moe-opt and moe-run")
    parser.add_argument("--library", metavar="FILE",
                        default="build/runtime/exec/libmoe_runtime.so",
                        help="the runtime's library (default: %(default)s)")
    parser.add_argument("--scratch", metavar="FOLDER",
                        help="for models and plans, 5 GB (default: that of "
                             "the system)")
    options = parser.parse_args()
    print(f"onnxruntime {ort.__version__}, {options.threads} threads, medians "
          f"of {options.rounds} rounds, ms\n\n"
          "| form | session | lazy, process | load | ratio "
          "| full, process | load | ratio |\n"
          "|---|---|---|---|---|---|---|---|")
    for form in options.forms:
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            compare(options, form, folder)


if __name__ == "__main__":
    main()
