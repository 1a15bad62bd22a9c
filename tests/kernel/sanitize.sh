#!/usr/bin/env bash
# The C files under the address and undefined-behavior sanitizers, then under the thread sanitizer: builds
# tests/kernel/sanitize.c with them and runs it, for each instruction set. Needs GCC or Clang with their sanitizer
# libraries.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=()
for name in als effects grid hashing partners select sgd strata; do sources+=("$root/sklearn_mf/_kernel/$name.c"); done
x86=""
case $(uname -m) in x86_64 | amd64) x86="-DSGD_HAVE_X86" ;; esac
for sanitizers in address,undefined thread; do
    echo "$sanitizers"
    "${CC:-cc}" -std=gnu11 -g -O1 -Wall -Wno-psabi -Wno-unknown-pragmas -fopenmp-simd -pthread \
        "-fsanitize=$sanitizers" -fno-sanitize-recover=all $x86 "-DINLINE=static __attribute__((unused))" \
        -I "$root/sklearn_mf/_kernel" "$root/tests/kernel/sanitize.c" "${sources[@]}" -lm -o "$work/sanitize"
    "$work/sanitize"
done
