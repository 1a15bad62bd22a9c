#!/usr/bin/env bash
# The extension that Python loads, under the address and undefined-behavior sanitizers, then under the thread sanitizer:
# builds the package with them in a fresh virtual environment, and runs the tests of the kernel and of threads.
# Arguments replace those tests. Needs GCC with its sanitizer libraries, and Python as `python3`, or $PYTHON.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CC="${CC:-gcc}"
"${PYTHON:-python3}" -m venv "$work/venv"

install() { # SANITIZERS, then arguments of pip
    "$work/venv/bin/pip" install --quiet "${@:2}" "-Csetup-args=-Db_sanitize=$1" -Csetup-args=-Db_lundef=false \
        -Csetup-args=-Ddebug=true \
        "-Csetup-args=-Dc_args=['-fno-sanitize-recover=all', '-DINLINE=static __attribute__((unused))']"
}

run() { # LIBRARY, then tests. Python itself is built without the sanitizer, so that its library has to come first.
    LD_PRELOAD=$("$CC" -print-file-name="$1") "$work/venv/bin/pytest" -q -n 0 -p no:cacheprovider "${@:2}"
}

cd "$root"
echo "address,undefined"
install address,undefined ".[test]"
# Each array is an allocation of its own, so that a read past its end is seen. Python does not free all at its end.
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=halt_on_error=1:die_after_fork=0
tests=(tests/kernel tests/estimators/test_serving_in_threads.py)
run libasan.so "${@:-${tests[@]}}"

echo "thread"
install thread --no-deps --force-reinstall .
tests=(tests/training/test_threads_and_processes.py tests/estimators/test_serving_in_threads.py)
run libtsan.so "${@:-${tests[@]}}"
