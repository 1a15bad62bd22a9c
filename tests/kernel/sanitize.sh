#!/usr/bin/env bash
# The C files under the address and undefined-behavior sanitizers, then under the thread sanitizer: builds
# tests/kernel/sanitize.c and sanitize_online.c with them and runs them, for each instruction set. Needs GCC or Clang with
# their sanitizer libraries.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kernel=$root/sklearn_mf/_kernel
x86=""
case $(uname -m) in x86_64 | amd64) x86="-DSGD_HAVE_X86" ;; esac

# run PROGRAM NAMES: the program with the C files of these names.
run() {
    local sources=("$root/tests/kernel/$1.c")
    for name in "${@:2}"; do sources+=("$kernel/$name.c"); done
    "${CC:-cc}" -std=gnu11 -g -O1 -Wall -Wno-psabi -Wno-unknown-pragmas -Wno-maybe-uninitialized -fopenmp-simd -pthread \
        "-fsanitize=$sanitizers" -fno-sanitize-recover=all $x86 "-DINLINE=static __attribute__((unused))" \
        -I "$kernel" -I "$root/tests/kernel" "${sources[@]}" -lm -o "$work/$1"
    "$work/$1"
}

for sanitizers in address,undefined thread; do
    echo "$sanitizers"
    run sanitize als coarse effects grid hashing partners select sgd strata
    [ "$sanitizers" = thread ] || run sanitize_online online precision sgd # which has no threads
done
