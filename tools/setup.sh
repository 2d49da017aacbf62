#!/usr/bin/env bash
# Installs the Debian packages that the project is built with (Debian 12; MLIR
# 22 comes from its security repository). Does nothing if all are there.
#
# usage: tools/setup.sh
set -euo pipefail

packages=(
  cmake ninja-build g++ ccache lld pkg-config
  libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools
  protobuf-compiler libprotobuf-dev
  flatbuffers-compiler libflatbuffers-dev
  libgtest-dev libbenchmark-dev
  libcli11-dev nlohmann-json3-dev zlib1g-dev libxxhash-dev libpcre2-dev
  libopenmpi-dev openmpi-bin
  python3
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
    grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  sudo=(sudo)
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" \
  > /dev/null
