"""Check that the package does without Dask, and says what to install."""

import importlib
import re
import sys
from pathlib import Path

import pytest

import sklearn_mf


@pytest.mark.parametrize("missing", ["dask", "distributed"])
def test_missing_packages_are_named(monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith("sklearn_mf.dask")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=re.escape('pip install "sklearn-mf[dask]"')):
        importlib.import_module("sklearn_mf.dask")


def test_nothing_else_imports_dask():
    folder = Path(sklearn_mf.__file__).parent
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).parts[0] != "dask":
            imports = re.findall(r"^\s*(?:from|import) (?:dask|distributed|sklearn_mf\.dask)\b", path.read_text(), re.M)
            assert imports == [], path
