#!/usr/bin/env bash
# Builds everything, compiles the trained PR-MoE model of test/models for four
# ranks, shows what the compiler decided, compares logits with the reference,
# and writes text.
#
# usage: tools/demo.sh [PROMPT]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
prompt=${1:-$'ROMEO:\n'}
models=test/models/prmoe
plan=build/demo/prmoe.moeplan

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

say "Build"
tools/build.sh
mkdir -p build/demo

say "Compile for four ranks: what was recognised, where the experts went"
show build/bin/moe-opt $models/prmoe-lm/model.onnx -o $plan --ranks=4 \
  --verbose

say "The plan: layers, experts and bytes of each rank, exchanges of each step"
show build/bin/moe-inspect $plan

say "Logits and caches of a ragged batch against PyTorch"
show build/bin/moe-run $plan --inputs $models/prmoe-lm/inputs_2.npz \
  --expect $models/prmoe-lm/expected_2.npz --atol 1e-4 --rtol 1e-3

say "Text"
show build/bin/moe-run generate $plan --tokenizer $models/tokenizer.json \
  --prompt "$prompt" --max-new-tokens 128
