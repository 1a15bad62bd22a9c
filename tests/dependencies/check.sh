#!/usr/bin/env bash
# Runs the tests on the oldest dependencies that pyproject.toml allows, or on the newest that exist, pre-releases too:
#
#   bash tests/dependencies/check.sh oldest
#   bash tests/dependencies/check.sh newest
#
# PYTHON chooses the Python (by default, python3.10 for the oldest where it is found, else python3). The environment is
# made in a temporary folder. Without further arguments, it runs the tests that touch other packages, except slow ones:
# the kernel and training on arrays do not. Arguments are given to pytest: `check.sh oldest tests` runs everything.
set -euo pipefail

which=${1:?oldest or newest}
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A version of Python that pyenv lists, but has not chosen, is not a Python that runs.
python=${PYTHON:-python3}
if [ -z "${PYTHON:-}" ] && [ "$which" = oldest ] && python3.10 -c "" 2> /dev/null; then
    python=python3.10
fi
if [ -z "${SKLEARN_MF_DATA:-}" ] && [ -d "$root/../shared/data" ]; then
    SKLEARN_MF_DATA=$(cd "$root/../shared/data" && pwd)
    export SKLEARN_MF_DATA
fi

"$python" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --disable-pip-version-check install --quiet)
cd "$root"
if [ "$which" = oldest ]; then
    "$work/venv/bin/python" tests/dependencies/pins.py > "$work/pins.txt"
    # The constraints count for the tools of the build, too.
    PIP_CONSTRAINT="$work/pins.txt" "${pip[@]}" ".[test]"
elif [ "$which" = newest ]; then
    "${pip[@]}" --upgrade --pre ".[test]"
else
    echo "oldest or newest, not $which" >&2
    exit 2
fi
"$work/venv/bin/python" tests/dependencies/pins.py --installed

if [ $# = 0 ]; then
    set -- -m "not slow and not drawing" \
        tests/{datasets,docs,estimators,fuzz,ids,metrics,model_selection,plotting,prediction}
fi
"$work/venv/bin/pytest" -q "$@"
