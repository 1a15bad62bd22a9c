#!/usr/bin/env bash
# Makes a fresh environment with the package, its tests, and the oldest dependencies that pyproject.toml allows, or the
# newest that exist, pre-releases too:
#
#   bash tests/dependencies/install.sh oldest FOLDER
#   bash tests/dependencies/install.sh newest FOLDER
#
# PYTHON chooses the Python. By default, it is Python 3.10 for the oldest, where it is found, and else python3.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
which=${1:?oldest or newest}
folder=${2:?a folder to make}
python=${PYTHON:-python3}
if [ -z "${PYTHON:-}" ] && [ "$which" = oldest ]; then
    for candidate in python3.10 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python; do
        # Where pyenv manages versions, a command can be there that does not run.
        if "$candidate" -c "" 2> /dev/null; then
            python=$candidate
            break
        fi
    done
fi

"$python" -m venv "$folder"
pip=("$folder/bin/python" -m pip --disable-pip-version-check install --quiet)
case $which in
oldest)
    "$folder/bin/python" "$root/tests/dependencies/pins.py" > "$folder/oldest.txt"
    # Variables, not arguments: the constraints are for the tools of the build, too. Old and new pip read one of them.
    export PIP_CONSTRAINT="$folder/oldest.txt" PIP_BUILD_CONSTRAINT="$folder/oldest.txt"
    "${pip[@]}" "$root[test]"
    ;;
newest)
    "${pip[@]}" --upgrade --pre "$root[test]"
    ;;
*)
    echo "oldest or newest, not $which" >&2
    exit 2
    ;;
esac
"$folder/bin/python" "$root/tests/dependencies/pins.py" --installed
