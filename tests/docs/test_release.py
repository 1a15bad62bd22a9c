"""Check that the version, the oldest dependencies and the metadata say the same everywhere."""

import re
import subprocess
import sys
from importlib.metadata import metadata

import pytest
from helpers.paths import ROOT
from helpers.versions import versions

import sklearn_mf

PINS = ROOT / "tests" / "dependencies" / "pins.py"


def oldest_versions():
    printed = subprocess.run([sys.executable, PINS], capture_output=True, text=True, check=True).stdout
    return dict(line.split("==") for line in printed.split())


def test_every_file_says_the_same_version():
    assert versions(ROOT) == dict.fromkeys(versions(ROOT), sklearn_mf.__version__)


def test_the_metadata_has_what_an_index_shows():
    data = metadata("sklearn-mf")
    assert data["Version"] == sklearn_mf.__version__
    assert data["License-Expression"] == "BSD-3-Clause"
    assert "The sklearn_mf developers" in data["Author"]
    for minor in range(10, 15):
        assert f"Programming Language :: Python :: 3.{minor}" in data.get_all("Classifier")


def test_the_oldest_dependencies_are_those_of_the_installed_package():
    pins = oldest_versions()
    bounds = dict(re.findall(r"^([\w-]+)>=([\d.]+)$", "\n".join(metadata("sklearn-mf").get_all("Requires-Dist")), re.M))
    assert {"numpy", "scipy", "scikit-learn", "narwhals"} <= set(bounds)
    assert {name: pins[name] for name in bounds} == bounds


def test_the_recipe_for_conda_has_the_same_bounds():
    text = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    bounds = {}
    for name, number in re.findall(r"^ +- ([\w-]+) >=([\d.]+)$", text, flags=re.MULTILINE):
        assert bounds.setdefault(name, number) == number
    pins = oldest_versions()
    assert {"numpy", "scipy", "scikit-learn", "narwhals", "cython", "meson-python", "pytest"} == set(bounds)
    assert {name: pins[name] for name in bounds} == bounds


@pytest.mark.parametrize("requirement", ["numpy", "numpy<2", "numpy>=1.24,<2", "numpy==1.24"])
def test_a_dependency_without_a_plain_lower_bound_is_refused(requirement):
    sys.path.insert(0, str(PINS.parent))
    try:
        from pins import oldest
    finally:
        sys.path.pop(0)
    pyproject = {
        "project": {"dependencies": [requirement], "optional-dependencies": {"test": []}},
        "build-system": {"requires": []},
    }
    with pytest.raises(ValueError, match="NAME>=VERSION"):
        oldest(pyproject)


def test_no_command_runs_pytest_as_a_module():
    """``python -m pytest`` would import the source folder, which has no kernel, instead of the installed package."""
    patterns = ["*.md", "docs/**/*.md", "tests/**/*.sh", ".github/**/*.yml", ".github/*.md", ".ci/run"]
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    assert {ROOT / ".ci" / "run", ROOT / ".github" / "workflows" / "tests.yml"} < set(files)
    assert [path.name for path in files if "-m pytest" in path.read_text(encoding="utf-8")] == []
