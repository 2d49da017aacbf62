"""One expert layer as the peers run it: its sizes, routings, and our times.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""
import argparse
import dataclasses
import json
import os
import re
import statistics
import subprocess

import numpy as np

# As `moe-run bench` calls them, and as the peers do.
ACTIVATIONS = {"silu": "silu", "relu": "relu", "gelu_tanh": "gelu"}
TOOL = "moe-run bench --layer"
CACHES_TO_CYCLE = 8  # the weights of all calls are larger than so many caches


@dataclasses.dataclass
class Layer:
    """Sizes as `moe-run bench --layer` has them."""

    text: str
    experts: int
    k: int
    hidden: int
    inner: int
    activation: str
    gated: bool

    @staticmethod
    def parse(text):
        numbers, activation, gated = {}, "silu", False
        for part in text.split(","):
            key, _, value = part.partition("=")
            if part == "gated":
                gated = True
            elif key == "act" and value in ACTIVATIONS:
                activation = ACTIVATIONS[value]
            elif key in "EkHI" and len(key) == 1 and value.isdigit():
                numbers[key] = int(value)
            else:
                raise argparse.ArgumentTypeError(
                    f"'{part}' is not understood; expected as in "
                    "E=128,k=8,H=2048,I=768,act=silu,gated")
        if set(numbers) != set("EkHI") or min(numbers.values()) < 1:
            raise argparse.ArgumentTypeError("E, k, H, I must be given")
        if numbers["k"] > numbers["E"]:
            raise argparse.ArgumentTypeError("k is larger than E")
        return Layer(text, *(numbers[key] for key in "EkHI"), activation, gated)

    def num_weights(self):
        matrices = 3 if self.gated else 2
        return self.experts * matrices * self.hidden * self.inner

    def copies(self, bits):
        """How many layers are to take turns to leave no weights in caches."""
        num_bytes = self.num_weights() * bits / 8
        return max(1, -int(-CACHES_TO_CYCLE * last_cache_bytes() // num_bytes))


def last_cache_bytes():
    """Size of the last level of this machine's caches."""
    largest = 32 << 20
    folder = "/sys/devices/system/cpu/cpu0/cache"
    for index in os.listdir(folder) if os.path.isdir(folder) else []:
        try:
            with open(f"{folder}/{index}/size") as file:
                number, unit = re.match(r"(\d+)([KM])", file.read()).groups()
        except (OSError, AttributeError):
            continue
        largest = max(largest, int(number) << {"K": 10, "M": 20}[unit])
    return largest


def make_routings(layer, tokens, kind, seed=0):
    """Calls' routings, int32 [calls, tokens, k].

    Each call has another one. A single token goes through all experts in turn,
    so that no weights are used again before the others have been.
    """
    rng = np.random.default_rng(seed)
    if kind == "one":
        first = rng.permutation(layer.experts).reshape(-1, 1, 1)
        rows = (first + np.arange(layer.k)) % layer.experts
        return np.tile(rows, (1, tokens, 1)).astype(np.int32)
    if kind == "uniform" and tokens == 1:
        turn = rng.permutation(layer.experts)
        rows = (np.arange(layer.experts)[:, None] * layer.k
                + np.arange(layer.k)) % layer.experts
        return turn[rows][:, None].astype(np.int32)
    power = 0.0 if kind == "uniform" else float(kind.removeprefix("zipf:"))
    popularity = -power * np.log1p(rng.permutation(layer.experts))
    calls = max(4, min(64, 4096 // tokens))
    # The largest of Gumbel's noise are a choice without repetition.
    noise = rng.gumbel(size=(calls, tokens, layer.experts)) + popularity
    return np.argsort(-noise, axis=-1)[..., :layer.k].astype(np.int32)


def routing_kind(text):
    if text in ("uniform", "one") or re.fullmatch(r"zipf:\d+(\.\d+)?", text):
        return text
    raise argparse.ArgumentTypeError(
        f"'{text}' is none of uniform, one, zipf:0.8")


@dataclasses.dataclass
class Cell:
    """One line of the table: weights, activations, tokens."""

    dtype: str
    activations: str
    tokens: int

    def name(self):
        rounded = ", int8 activations" if self.activations == "int8" else ""
        return f"{self.dtype}{rounded}, T={self.tokens}"


def parse_cells(text):
    """f32:1,256;int4+int8:1 - weight type, perhaps +int8, numbers of tokens."""
    cells = []
    for part in text.split(";"):
        match = re.fullmatch(r"(f32|f16|bf16|int8|int4)(\+int8)?:(\d+(,\d+)*)",
                             part)
        if not match:
            raise argparse.ArgumentTypeError(
                f"'{part}' is no cell; expected as in f32:1,256;int4+int8:1")
        for tokens in match[3].split(","):
            if not 1 <= int(tokens) <= 65536:
                raise argparse.ArgumentTypeError(f"'{tokens}' tokens")
            cells.append(Cell(match[1], "int8" if match[2] else "float",
                              int(tokens)))
    return cells


def add_arguments(parser, cells):
    """Options that all peers have."""
    parser.add_argument("--layer", type=Layer.parse, metavar="SIZES",
                        default="E=128,k=8,H=2048,I=768,act=silu,gated",
                        help="as in %(default)s")
    parser.add_argument("--cells", type=parse_cells, default=cells,
                        help="weights[+int8]:tokens,..;.. (default %(default)s)"
                        "; +int8 rounds activations")
    parser.add_argument("--routing", type=routing_kind, default="uniform",
                        help="uniform, one or zipf:0.8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3,
                        help="each measures both in turn (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0,
                        help="for a cell in a round (default %(default)s)")
    parser.add_argument("--bin", default="build/bin", help="folder of moe-run")
    parser.add_argument("--peer-only", action="store_true",
                        help="leave moe-run out")


def time_ours(options, cell):
    """Median of a call and percent of the floor, as moe-run bench has them."""
    command = [f"{options.bin}/moe-run", "bench", "--layer", options.layer.text,
               f"--dtype={cell.dtype}", f"--tokens={cell.tokens}",
               f"--routing={options.routing}", f"--seconds={options.seconds}",
               f"--threads={options.threads}", "--json"]
    if cell.activations == "int8":
        command.append("--activations=int8")
    done = subprocess.run(command, capture_output=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n"
                         + done.stderr.decode(errors="replace"))
    measured = json.loads(done.stdout)["cells"][0]
    return measured["median_ms"], measured.get("percent_of_floor", float("nan"))


def print_header(peer):
    print(f"| cell | {peer} ms | {TOOL} ms | % of floor | ratio |\n"
          "|---|---|---|---|---|", flush=True)


def compare(options, cell, time_peer, note=""):
    """Measures both in turn and prints a line of the table."""
    theirs, ours = [], []
    for _ in range(options.rounds):
        theirs.append(time_peer())
        if not options.peer_only:
            ours.append(time_ours(options, cell))
    a = statistics.median(theirs)
    line = f"| {cell.name()}{note} | {a:.3f} |"
    if ours:
        b = statistics.median(ms for ms, _ in ours)
        floor = statistics.median(percent for _, percent in ours)
        line += f" {b:.3f} | {floor:.0f} | {a / b:.2f} |"
    else:
        line += " | | |"
    print(line, flush=True)
