#!/usr/bin/env python3
"""Times one expert layer in ggml and in moe-run, side by side.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

ggml is the one inside of the source package of llama-cpp-python, which --work
gets: fetched by pip, its CPU part built by CMake for this machine. Neither is
part of this project. Both sides run the same sizes and routings with the same
number of threads in alternating rounds; a sampled row of ggml is checked.

Weights of ggml: f32, f16, bf16, q8_0 (int8) and q4_0 (int4), both of them in
blocks of 32 with activations that are rounded to int8, so ours are too. Where
ggml has a second, rearranged form of weights, the faster one counts. Not part
of the tests. Needs numpy, cmake, ninja and a C++ compiler.

examples:
  ggml_layer.py --work /tmp/ggml --bin build/bin
  ggml_layer.py --work /tmp/ggml --cells 'int4+int8:1,16;f32:1' --rounds 5
  ggml_layer.py --work /tmp/ggml --cells f16:1,64 --routing zipf:0.8 \\
    --layer E=8,k=2,H=4096,I=14336,act=silu,gated
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tarfile
import tempfile

import layers

PACKAGE = "llama-cpp-python"
BITS = {"f32": 32, "f16": 16, "bf16": 16, "int8": 8.5, "int4": 4.5}
TYPES = {"int8": "q8_0", "int4": "q4_0"}
CELLS = ("f32:1,256;f16:1,16,64,256;bf16:1,64,256;int8+int8:1,16,256;"
         "int4+int8:1,16,64,256")
# Relative to the largest number of a row: of f32 only the order of additions,
# the others round activations as well.
LARGEST_ERROR = {"f32": 1e-4, "f16": 5e-3, "bf16": 3e-2, "int8": 3e-2,
                 "int4": 3e-2}
PROJECT = """cmake_minimum_required(VERSION 3.20)
project(ggml_layer C CXX ASM)
add_subdirectory({ggml} ggml)
add_executable(ggml_layer {source})
target_compile_features(ggml_layer PRIVATE cxx_std_17)
target_link_libraries(ggml_layer PRIVATE ggml)
"""


def run(*command, timeout):
    print("$ " + " ".join(command), file=sys.stderr)
    subprocess.run(command, check=True, timeout=timeout, stdout=sys.stderr)


def fetch(work):
    """The folder of ggml's sources, from the package in `work`."""
    packages = os.path.join(work, "llama_cpp_python-*.tar.gz")
    if not glob.glob(packages):
        run(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary",
            PACKAGE, "-d", work, PACKAGE, timeout=900)
    package = max(glob.glob(packages), key=os.path.getmtime)
    ggml = os.path.join(package.removesuffix(".tar.gz"),
                        "vendor/llama.cpp/ggml")
    if not os.path.isdir(ggml):
        with tarfile.open(package) as archive:
            archive.extractall(work, filter="data")
    return os.path.abspath(ggml), os.path.basename(package)


def build(work, jobs):
    """The program that runs ggml, and the name of the package it is from."""
    ggml, package = fetch(work)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "ggml_layer.cpp")
    with open(os.path.join(work, "CMakeLists.txt"), "w") as file:
        file.write(PROJECT.format(ggml=ggml, source=source))
    folder = os.path.join(work, "build")
    run("cmake", "-S", work, "-B", folder, "-G", "Ninja",
        "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF",
        "-DGGML_NATIVE=ON", "-DGGML_LLAMAFILE=ON", timeout=300)
    run("nice", "ninja", "-C", folder, f"-j{jobs}", "ggml_layer", timeout=3600)
    return os.path.join(folder, "ggml_layer"), package


class Peer:
    """ggml with the weights of one type."""

    def __init__(self, options, program, dtype, form):
        layer, self.dtype = options.layer, dtype
        self.process = subprocess.Popen(
            [program, *map(str, (layer.experts, layer.k, layer.hidden,
                                 layer.inner, layer.activation,
                                 "gated" if layer.gated else "plain",
                                 TYPES.get(dtype, dtype), form,
                                 layer.copies(BITS[dtype]), options.threads))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        self.version = json.loads(first)["version"] if first else None

    def time(self, routings, tokens, seconds):
        self.process.stdin.write(f"{routings} {tokens} {seconds}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if not answer["error"] <= LARGEST_ERROR[self.dtype]:
            raise SystemExit(f"ggml's {self.dtype} row is wrong by "
                             f"{answer['error']} of its largest number")
        return answer["median_ms"]

    def close(self):
        self.process.communicate(timeout=60)


def open_peers(options, program, dtype):
    """ggml with each form of such weights that it has."""
    peers = [Peer(options, program, dtype, "plain")]
    if peers[0].version is None:
        raise SystemExit(peers[0].process.stderr.read())
    rearranged = Peer(options, program, dtype, "rearranged")
    if rearranged.version is not None:
        peers.append(rearranged)
    else:
        rearranged.close()
    return peers


def measure(options, program, scratch, dtype, cells):
    peers = open_peers(options, program, dtype)
    for cell in cells:
        routings = os.path.join(scratch, f"{cell.tokens}.bin")
        layers.make_routings(options.layer, cell.tokens,
                             options.routing).tofile(routings)
        layers.compare(options, cell, lambda: min(
            peer.time(routings, cell.tokens, options.seconds)
            for peer in peers))
    for peer in peers:
        peer.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    layers.add_arguments(parser, CELLS)
    parser.add_argument("--work", required=True, metavar="FOLDER",
                        help="gets ggml, some 600 MB")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(),
                        help="of the build")
    options = parser.parse_args()
    for cell in options.cells:
        if (cell.dtype in TYPES) != (cell.activations == "int8"):
            parser.error(f"ggml does not run {cell.name()}")
    os.makedirs(options.work, exist_ok=True)
    program, package = build(options.work, options.jobs)
    print(f"{package.removesuffix('.tar.gz')}, {options.threads} threads, "
          f"medians of {options.rounds} rounds, {options.layer.text}, "
          f"{options.routing} routing")
    layers.print_header("ggml")
    with tempfile.TemporaryDirectory() as scratch:
        for dtype in dict.fromkeys(cell.dtype for cell in options.cells):
            measure(options, program, scratch, dtype,
                    [cell for cell in options.cells if cell.dtype == dtype])


if __name__ == "__main__":
    main()
