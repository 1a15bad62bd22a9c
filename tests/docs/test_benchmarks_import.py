"""Check that benchmarks import names that the package has, and reach for nothing private of its objects."""

import ast
import importlib
import importlib.util
import re

import pytest
from helpers.paths import ROOT

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_what_a_benchmark_imports_is_there(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn_mf"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                is_module = (
                    importlib.util.find_spec(f"{node.module}.{alias.name}") if hasattr(module, "__path__") else None
                )
                assert hasattr(module, alias.name) or is_module, f"{node.module}.{alias.name}"


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_a_benchmark_patches_nothing(path):
    code = path.read_text()
    assert not re.search(r"\bmock\b|monkeypatch|__dict__", code)
    if path.name != "_library_adapters.py":  # scikit-surprise has private maps of ids
        assert not re.search(r"(?<!self)(?<!sklearn_mf)(?<!sklearn_mf\.dask)\._[a-z]\w*", code)
