#!/usr/bin/env bash
# Installs what is missing and builds everything into build/.
#
# usage: tools/build.sh [TARGET...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh
if [ ! -f build/build.ninja ]; then
  cmake --preset release
fi
cmake --build build --parallel "$(nproc)" -- "$@"
