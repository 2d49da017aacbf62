#!/usr/bin/env bash
# Installs what is missing, builds everything and runs the whole test suite.
# Long fuzz, soak and fault runs have the label "long" and are left out:
#   ctest --test-dir build -L long
#
# usage: tools/test.sh [CTEST OPTION...]      e.g. tools/test.sh -R Plan
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/build.sh
exec ctest --test-dir build --output-on-failure --parallel "$(nproc)" \
  -LE long "$@"
