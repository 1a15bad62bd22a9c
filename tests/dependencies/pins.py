"""Print the oldest version of each dependency that pyproject.toml allows, as constraints of pip.

`pins.py` reads what the package, its tests and its build need. Each must have a lower bound. Where two name the same
package, the higher bound counts. `pins.py --installed` prints the versions of the same packages that are installed.
"""

import re
import sys
from importlib.metadata import version
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?\s*>=\s*([\d.]+)")


def read_toml(path):
    """Read a TOML file with the parser of Python 3.11, or with that of pip on Python 3.10."""
    try:
        import tomllib
    except ModuleNotFoundError:
        from pip._vendor import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))


def oldest(pyproject):
    """Map each package to its oldest version; refuse one without a lower bound, or with other bounds."""
    project, found = pyproject["project"], {}
    parts = project["dependencies"], project["optional-dependencies"]["test"], pyproject["build-system"]["requires"]
    for requirement in (text for part in parts for text in part):
        match = REQUIREMENT.fullmatch(requirement.strip())
        if not match:
            raise ValueError(f"{requirement!r} in pyproject.toml is not of the form NAME>=VERSION.")
        name, number = match[1].lower(), tuple(map(int, match[2].split(".")))
        found[name] = max(number, found.get(name, number))
    return {name: ".".join(map(str, found[name])) for name in sorted(found)}


if __name__ == "__main__":
    pins = oldest(read_toml(PYPROJECT))
    if "--installed" in sys.argv:
        not_installed = {"cython", "meson-python"}  # used by the build alone
        print(
            "Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in pins if name not in not_installed)
        )
    else:
        print("\n".join(f"{name}=={number}" for name, number in pins.items()))
