"""Check that examples in docstrings and pages run, and that code on pages fits a narrow column."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import os
import pkgutil
from contextlib import nullcontext
from unittest import mock

import pytest
from helpers.dask_clusters import quick_processes
from helpers.pages import PAGES, code_blocks, name_of
from helpers.paths import ROOT

import sklearn_mf

MODULES = [name for _, name, _ in pkgutil.walk_packages(sklearn_mf.__path__, "sklearn_mf.")]
PAGES_WITH_CODE = [page for page in PAGES if code_blocks(page, "python")]
SCRIPTS = sorted((ROOT / "docs" / "examples").glob("*.py"))
MOST_COLUMNS = 88

# A block that imports one of these is left out where it is missing, and the test of its page is then reported as
# skipped. Such a block stands alone: later blocks of the page use none of its names.
MAY_BE_MISSING = {
    *("cmfrec", "dask", "distributed", "implicit", "lenskit", "lightfm", "mapie", "matplotlib", "mlflow"),
    *("onnx", "onnxruntime", "optuna", "pandas", "polars", "pyarrow", "ranx", "rich", "shap", "skops", "surprise"),
}
NEEDED_BY = {"sklearn_mf.plotting": "matplotlib", "sklearn_mf.dask": "distributed"}


def draws(text):
    return "sklearn_mf.plotting" in text or "matplotlib" in text


def marked(value, text, name):
    return pytest.param(value, id=name, marks=[pytest.mark.drawing] if draws(text) else [])


def missing_modules(code):
    """Names of modules that a block imports, that may be missing, and that are."""
    imported = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    needed = {NEEDED_BY.get(name, name.partition(".")[0]) for name in imported} & MAY_BE_MISSING
    return {name for name in needed if not importlib.util.find_spec(name)}


@pytest.mark.parametrize("name", [marked(name, name, name) for name in ["sklearn_mf", *MODULES]])
def test_docstring_examples(name):
    if name.startswith("sklearn_mf.plotting."):
        pytest.importorskip("matplotlib").use("agg")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_example_of_a_list():
    """The docstring of TRUSTED_TYPES stands below the list, where doctest does not look."""
    pytest.importorskip("skops")
    docstring = ast.parse(inspect.getsource(sklearn_mf)).body[-1].value.value
    test = doctest.DocTestParser().get_doctest(docstring, {}, "TRUSTED_TYPES", None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.slow
@mock.patch.dict(os.environ)  # Dask leaves variables for its workers there
@pytest.mark.parametrize("page", [marked(page, page.read_text(), name_of(page)) for page in PAGES_WITH_CODE])
def test_python_blocks_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks(page, "python")
    if any(draws(block) for block in blocks) and importlib.util.find_spec("matplotlib"):
        importlib.import_module("matplotlib").use("agg")
    with_processes = any("distributed" in block for block in blocks) and importlib.util.find_spec("distributed")
    namespace, missing = {"__name__": "__main__"}, set()
    with quick_processes() if with_processes else nullcontext():
        for block in blocks:
            missing_here = missing_modules(block)
            missing |= missing_here
            if not missing_here:
                exec(compile(block, name_of(page), "exec"), namespace)
    if missing:
        pytest.skip(f"some blocks did not run, for want of {', '.join(sorted(missing))}")


def test_the_pages_have_code():
    assert ROOT / "README.md" in PAGES_WITH_CODE
    assert len(PAGES_WITH_CODE) > 10


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_on_a_page_is_narrow(page):
    for language in ("python", "sh", "bash", "text", "pycon"):
        for block in code_blocks(page, language):
            for line in block.splitlines():
                assert len(line) <= MOST_COLUMNS or "://" in line, line


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_code_of_an_example_is_narrow(script):
    for line in script.read_text().splitlines():
        assert len(line) <= MOST_COLUMNS or "://" in line, line
