#!/usr/bin/env bash
# Runs tests on the oldest dependencies that pyproject.toml allows, or on the newest that exist, pre-releases too:
#
#   bash tests/dependencies/check.sh oldest
#   bash tests/dependencies/check.sh newest
#
# Further arguments are given to pytest. Without them, it runs the tests that touch other packages, except slow ones: the
# kernel and training on arrays do not touch them, and clusters fit as one machine does. `check.sh oldest tests` runs all.
# ENVIRONMENT names a folder that install.sh has made; without it, this script makes one for the time it runs.
set -euo pipefail

which=${1:?oldest or newest}
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
if [ -z "${ENVIRONMENT:-}" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    ENVIRONMENT=$work/venv
    bash tests/dependencies/install.sh "$which" "$ENVIRONMENT"
fi
if [ $# = 0 ]; then
    set -- -m "not slow and not drawing" tests/{docs,estimators,fuzz,metrics,model_selection,plotting,prediction}
fi
"$ENVIRONMENT/bin/pytest" -q "$@"
