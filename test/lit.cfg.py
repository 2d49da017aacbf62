# Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How lit runs the tests of the compiler half.

Tests are .mlir files and .test files (RUN lines only). Files below a folder
Inputs are read by tests. The programs of this build and LLVM's FileCheck, not
and split-file are in the path; %models and %golden are test/models and
test/golden.
"""

import os

import lit.formats

config.name = "MoeCompiler"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.join(config.moe_source_dir, "test")
config.test_exec_root = os.path.join(config.moe_binary_dir, "test")

# Tests do not depend on who runs them, nor on where.
config.environment = {
    "PATH": os.pathsep.join(
        [
            os.path.join(config.moe_binary_dir, "bin"),
            config.llvm_tools_dir,
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
        ]
    ),
    "LC_ALL": "C.UTF-8",
    "FILECHECK_OPTS": "-enable-var-scope",
}
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(
    ("%models", os.path.join(config.test_source_root, "models"))
)
config.substitutions.append(
    ("%golden", os.path.join(config.test_source_root, "golden"))
)
