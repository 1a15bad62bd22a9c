#!/usr/bin/env bash
# The kernel under the address and undefined-behaviour sanitizers: builds tests/sanitize.c with them and runs it, for
# each instruction set. Needs GCC or Clang with their sanitizer libraries.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for define in "" "-DSGD_HAVE_AVX2"; do
    "${CC:-cc}" -std=c11 -g -O1 -fopenmp-simd -fsanitize=address,undefined -fno-sanitize-recover=all $define \
        -I "$root/sklearn_mf" "$root/tests/sanitize.c" "$root/sklearn_mf/sgd.c" -o "$work/sanitize"
    "$work/sanitize"
done
