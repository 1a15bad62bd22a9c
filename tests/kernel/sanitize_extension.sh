#!/usr/bin/env bash
# The extension that Python loads, under the address and undefined-behavior sanitizers: builds the package with them in
# a fresh virtual environment, and runs the tests of the kernel and of threads that read and write. Arguments replace
# those tests. Needs GCC with its sanitizer libraries, and Python as `python3`, or $PYTHON.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CC="${CC:-gcc}"
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "$root[test]" -Csetup-args=-Db_sanitize=address,undefined \
    -Csetup-args=-Db_lundef=false -Csetup-args=-Ddebug=true \
    "-Csetup-args=-Dc_args=['-fno-sanitize-recover=all', '-DINLINE=static __attribute__((unused))']"

# Python itself is built without the sanitizer, so its library comes first. Each array is an allocation of its own, so
# that a read past its end is seen. What Python does not free at its end is not looked for.
cd "$root"
tests=(tests/kernel tests/estimators/test_serving_in_threads.py)
LD_PRELOAD=$("$CC" -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
    "$work/venv/bin/pytest" -q -n 0 -p no:cacheprovider "${@:-${tests[@]}}"
