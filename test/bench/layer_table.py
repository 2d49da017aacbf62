"""Runs `moe-run bench --layer` on layers of well-known shapes, prints Markdown.

Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

    python3 test/bench/layer_table.py --bin build/bin
    python3 test/bench/layer_table.py --bin build/bin --layers A --types int4

Each call measures the machine's rates and its cells in the same run. A cell
above 103 % of its floor is marked: its measurement is wrong.
"""
import argparse
import json
import os
import subprocess
import sys

# Name: text of --layer, further options, numbers of tokens.
LAYERS = {
    "A": ("E=128,k=8,H=2048,I=768,act=silu,gated", [], [1, 4, 16, 64, 256, 512]),
    "B": ("E=8,k=2,H=4096,I=14336,act=silu,gated", [], [1, 64, 512]),
    "D": ("E=32,k=1,H=1024,I=4096,act=gelu", ["--bias"], [1, 64, 512]),
    "E": ("E=8,k=2,H=256,I=512,act=silu,gated", [], [1, 64]),
}
# Name: options.
TYPES = {
    "f32": ["--dtype=f32"],
    "f16": ["--dtype=f16"],
    "bf16": ["--dtype=bf16"],
    "int8": ["--dtype=int8"],
    "int4": ["--dtype=int4"],
    "int8/int8": ["--dtype=int8", "--activations=int8"],
    "int4/int8": ["--dtype=int4", "--activations=int8"],
}
ROUTINGS = ["uniform", "zipf:0.8", "one"]
COLUMNS = ["weights", "tokens", "routing", "median ms", "p90", "p99", "cov",
           "GB/s", "GFLOP/s", "floor ms", "of floor", "bound", "overhead us"]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="layers: " + ", ".join(f"{name} {text} {' '.join(more)}".strip()
                                      for name, (text, more, _)
                                      in LAYERS.items()))

    def names(table):
        def split(text):
            chosen = text.split(",")
            for name in chosen:
                if name not in table:
                    raise argparse.ArgumentTypeError(
                        f"'{name}' is none of {', '.join(table)}")
            return chosen
        return split

    parser.add_argument("--bin", default="build/bin",
                        help="folder of moe-run")
    parser.add_argument("--layers", type=names(LAYERS), default=list(LAYERS))
    parser.add_argument("--types", type=names(TYPES), default=list(TYPES),
                        help="weights, or weights/activations")
    parser.add_argument("--routings", default=",".join(ROUTINGS),
                        help="as moe-run bench has them")
    parser.add_argument("--tokens", help="instead of those of each layer")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--json", help="also write all results here")
    return parser.parse_args()


def measure(arguments, layer, types):
    text, more, tokens = LAYERS[layer]
    tokens = arguments.tokens or ",".join(map(str, tokens))
    command = [os.path.join(arguments.bin, "moe-run"), "bench", "--layer", text,
               *more, *TYPES[types], f"--tokens={tokens}",
               f"--routing={arguments.routings}",
               f"--seconds={arguments.seconds}", "--json"]
    if arguments.threads:
        command.append(f"--threads={arguments.threads}")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return json.loads(done.stdout)


def row_of(types, cell):
    wrong = "" if cell["is_plausible"] else " !"
    return [types, cell["tokens"], cell["routing"],
            f"{cell['median_ms']:.3f}", f"{cell['p90_ms']:.3f}",
            f"{cell['p99_ms']:.3f}", f"{cell['cov']:.2f}",
            f"{cell['GB_per_s']:.1f}", f"{cell['GFLOP_per_s']:.1f}",
            f"{cell['floor_ms']:.3f}",
            f"{cell['percent_of_floor']:.1f} %{wrong}", cell["bound"],
            f"{cell['overhead_us']:.1f}"]


def print_row(cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main():
    arguments = parse_arguments()
    results = {}
    for layer in arguments.layers:
        text, more, _ = LAYERS[layer]
        print(f"\n### Layer {layer}: {' '.join([text, *more])}\n")
        print_row(COLUMNS)
        print_row(["---"] * len(COLUMNS))
        for types in arguments.types:
            result = measure(arguments, layer, types)
            results[f"{layer} {types}"] = result
            for cell in result["cells"]:
                print_row(row_of(types, cell))
    rates = [result["machine"] for result in results.values()]
    bounds = [f"{min(r[key] for r in rates):.0f} to "
              f"{max(r[key] for r in rates):.0f} {unit}"
              for key, unit in (("bandwidth_GB_per_s", "GB/s"),
                                ("f32_GFLOP_per_s", "GFLOP/s of f32"),
                                ("int8_GOP_per_s", "GOP/s of int8"))]
    print(f"\n{rates[0]['threads']} threads; the machine had "
          f"{', '.join(bounds)}.")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
