# Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a model of many MoE layers, to measure the compiler with.

    many-layers.py FOLDER --layers 60 --experts 256 --hidden 7168 --inner 2048

FOLDER/model.textproto is a chain of residual layers, each a router and a
com.microsoft MoE node with k = 8. Its weights are one sparse file that takes no
space: compile it with --weights=synthetic.
"""

import argparse
import os

FLOAT = 1


class Model:
    def __init__(self):
        self.lines = []
        self.bytes = 0

    def port(self, what, name, columns):
        self.lines.append(
            f'{what} {{ name: "{name}" type {{ tensor_type {{ elem_type: {FLOAT}'
            f' shape {{ dim {{ dim_param: "tokens" }}'
            f" dim {{ dim_value: {columns} }} }} }} }} }}"
        )

    def weight(self, name, *dims):
        size = 4
        for dim in dims:
            size *= dim
        entries = {
            "location": "weights.bin",
            "offset": self.bytes,
            "length": size,
        }
        self.lines.append(
            f'initializer {{ name: "{name}" data_type: {FLOAT} '
            + " ".join(f"dims: {dim}" for dim in dims)
            + " data_location: EXTERNAL "
            + " ".join(
                f'external_data {{ key: "{key}" value: "{value}" }}'
                for key, value in entries.items()
            )
            + " }"
        )
        self.bytes += size
        return name

    def node(self, op, name, inputs, more=""):
        self.lines.append(
            f'node {{ op_type: "{op}" name: "{name}" output: "{name}" '
            + " ".join(f'input: "{each}"' for each in inputs)
            + f" {more} }}"
        )
        return name


def layer(model, i, x, args):
    gate = model.weight(f"gate{i}", args.hidden, args.experts)
    up = model.weight(f"up{i}", args.experts, args.inner, args.hidden)
    down = model.weight(f"down{i}", args.experts, args.hidden, args.inner)
    logits = model.node("MatMul", f"logits{i}", [x, gate])
    moe = model.node(
        "MoE",
        f"moe{i}",
        [x, logits, up, "", down],
        'domain: "com.microsoft" attribute { name: "k" type: INT i: 8 }',
    )
    return model.node("Add", f"h{i}", [x, moe])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--layers", type=int, default=60)
    parser.add_argument("--experts", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=7168)
    parser.add_argument("--inner", type=int, default=2048)
    args = parser.parse_args()

    model = Model()
    model.port("input", "x", args.hidden)
    x = "x"
    for i in range(args.layers):
        x = layer(model, i, x, args)
    model.node("Identity", "y", [x])
    model.port("output", "y", args.hidden)

    os.makedirs(args.folder, exist_ok=True)
    with open(os.path.join(args.folder, "model.textproto"), "w") as file:
        file.write('ir_version: 10\nopset_import { domain: "" version: 21 }\n')
        file.write('opset_import { domain: "com.microsoft" version: 1 }\n')
        file.write('graph {\nname: "many-layers"\n')
        file.write("\n".join(model.lines))
        file.write("\n}\n")
    with open(os.path.join(args.folder, "weights.bin"), "wb") as file:
        file.truncate(model.bytes)


if __name__ == "__main__":
    main()
