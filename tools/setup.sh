#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what building and testing need, if it is missing: from the distribution's own packages,
# on Debian 12 and later and Ubuntu 24.04 and later, as root or through sudo. Prints nothing and
# takes a moment when all is there. On other systems it says what to install.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache pkg-config python3
  clang-19 clang-format-19 clang-tidy-19 lld-19 llvm-19 libclang-rt-19-dev
  libcurl4-openssl-dev libtomlplusplus-dev zlib1g-dev
  libcli11-dev libspdlog-dev libfmt-dev libpcre2-dev libutf8proc-dev libedit-dev
  libssl-dev libsqlite3-dev
  libgtest-dev libbenchmark-dev
  curl docker-registry openssl python3-pyte
  g++-aarch64-linux-gnu qemu-user
)

say() { printf 'setup: %s\n' "$*" >&2; }

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Boost's version is part of its packages' names: take the one that this distribution has.
boost_packages() {
  local version
  for version in 1.81 1.83 1.88 1.90; do
    if is_installed "libboost-json$version-dev"; then
      echo "libboost-json$version-dev libboost$version-dev"
      return
    fi
  done
  for version in 1.81 1.83 1.88 1.90; do
    if apt-cache show "libboost-json$version-dev" >/dev/null 2>&1; then
      echo "libboost-json$version-dev libboost$version-dev"
      return
    fi
  done
  echo "libboost-json-dev libboost-dev"
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  say "this system has no apt. Install these, or what your system calls them, and build with"
  say "'cmake --preset release && cmake --build --preset release':"
  say "  ${packages[*]} and Boost 1.81 or later with Boost.JSON"
  command -v cmake >/dev/null && command -v ninja >/dev/null && exit 0
  exit 1
fi

missing() {
  local package
  for package in "${packages[@]}" $(boost_packages); do
    is_installed "$package" || echo "$package"
  done
  command -v npm >/dev/null || echo nodejs npm # often from elsewhere than the distribution
}

wanted=$(missing)
[ -z "$wanted" ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    say "these packages are missing, and there is no sudo: as root, run"
    say "  apt-get install" $wanted
    exit 1
  fi
  as_root=(sudo)
fi

say "installing" $wanted
"${as_root[@]}" apt-get update -qq
wanted=$(missing) # with fresh lists Boost's version may be another
install=(apt-get install -y -qq --no-install-recommends)
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" $wanted >/dev/null
