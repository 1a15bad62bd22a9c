"""Check that examples in docstrings and pages run."""

import doctest
import importlib
import os
import pkgutil
import re
from contextlib import nullcontext
from unittest import mock

import pytest
from helpers.dask_clusters import quick_processes
from helpers.paths import ROOT

import sklearn_mf

MODULES = [name for _, name, _ in pkgutil.walk_packages(sklearn_mf.__path__, "sklearn_mf.")]
PAGES = [
    "README.md",
    "docs/guide.md",
    "docs/training.md",
    "docs/living.md",
    "docs/uncertainty.md",
    "docs/model.md",
    "docs/recommendations.md",
    "docs/evaluation.md",
    "docs/memory.md",
    "docs/cluster.md",
    "docs/cluster_fit.md",
]


def marked(name, draws):
    return pytest.param(name, marks=[pytest.mark.drawing] if draws else [])


@pytest.mark.parametrize("name", ["sklearn_mf", *(marked(name, ".plotting" in name) for name in MODULES)])
def test_docstring_examples(name):
    if name.startswith("sklearn_mf.plotting."):
        pytest.importorskip("matplotlib").use("agg")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.slow
@mock.patch.dict(os.environ)  # Dask leaves variables for its workers there
@pytest.mark.parametrize("page", [marked(page, "sklearn_mf.plotting" in (ROOT / page).read_text()) for page in PAGES])
def test_python_blocks_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    assert blocks
    if any("sklearn_mf.plotting" in block for _, block in blocks):
        pytest.importorskip("matplotlib").use("agg")
    if any("distributed" in block for _, block in blocks):
        pytest.importorskip("distributed")
    namespace = {"__name__": "__main__"}
    with quick_processes() if any("distributed" in block for _, block in blocks) else nullcontext():
        for indent, block in blocks:
            exec(compile(re.sub(f"^{indent}", "", block, flags=re.MULTILINE), page, "exec"), namespace)
