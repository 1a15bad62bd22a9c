"""Check that everything public is documented and typed, and that links and the version are right."""

import importlib.util
import inspect
import re
import subprocess
import sys
from importlib.metadata import version

import pytest
from helpers.paths import ROOT

import sklearn_mf
import sklearn_mf.datasets
import sklearn_mf.metrics
import sklearn_mf.model_selection
import sklearn_mf.plotting

PUBLIC_MODULES = [sklearn_mf, sklearn_mf.datasets, sklearn_mf.metrics, sklearn_mf.model_selection, sklearn_mf.plotting]
if importlib.util.find_spec("distributed"):
    import sklearn_mf.dask

    PUBLIC_MODULES.append(sklearn_mf.dask)
PUBLIC = [thing for module in PUBLIC_MODULES for name in module.__all__ if callable(thing := getattr(module, name))]


def listed_in_api():
    """Names with their modules, such as sklearn_mf.metrics.ndcg_at_k, that the page of the API lists."""
    page, found = (ROOT / "docs" / "api.md").read_text(), set()
    for section in page.split(".. currentmodule:: ")[1:]:
        module = section.split()[0]
        found |= {
            f"{module}.{name}" for name in re.findall(r"^(?:   |\.\. data:: )(\w+)$", section, flags=re.MULTILINE)
        }
    return found


def is_ours(function):
    return function.__module__.startswith("sklearn_mf") and not function.__name__.startswith("set_")


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_everything_public_is_documented_and_typed(thing):
    functions = [thing]
    if inspect.isclass(thing):
        functions = [f for name, f in inspect.getmembers(thing, inspect.isroutine) if name[0] != "_" and is_ours(f)]
        functions.append(thing.__init__)
    for function in functions:
        assert inspect.getdoc(function if function.__name__ != "__init__" else thing)
        signature = inspect.signature(function)
        untyped = [p for p in signature.parameters.values() if p.name != "self" and p.annotation is p.empty]
        assert not untyped, function
    for section in ("Parameters", "Examples"):
        assert f"{section}\n---" in inspect.getdoc(thing)


def test_the_page_of_the_api_lists_everything_public():
    public = {f"{module.__name__}.{name}" for module in PUBLIC_MODULES for name in module.__all__}
    if "sklearn_mf.dask" in {module.__name__ for module in PUBLIC_MODULES}:
        assert listed_in_api() == public
    else:
        assert listed_in_api() >= public


@pytest.mark.parametrize(
    "estimator",
    [
        sklearn_mf.MatrixFactorizationRegressor,
        sklearn_mf.MatrixFactorizationRanker,
        sklearn_mf.MatrixFactorizationEncoder,
    ],
)
def test_every_parameter_is_in_the_docstring(estimator):
    for name in inspect.signature(estimator).parameters:
        assert re.search(rf"^ *{name} : ", estimator.__doc__, flags=re.MULTILINE), name


@pytest.mark.slow
def test_the_source_folder_says_what_it_is():
    """Python started in a clone finds the sources before the installed package."""
    run = subprocess.run([sys.executable, "-c", "import sklearn_mf"], cwd=ROOT, capture_output=True, text=True)
    assert "source folder, not the installed package" in run.stderr


def test_version():
    assert version("sklearn-mf") == sklearn_mf.__version__
