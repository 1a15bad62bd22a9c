"""Check public docstrings by the rules of numpydoc, with the exceptions that the build of the site has."""

import importlib
import inspect
import re
import runpy

import pytest
from helpers.paths import ROOT

validate = pytest.importorskip("numpydoc.validate")
pytest.importorskip("sphinx_gallery")
pytest.importorskip("distributed")

CONF = runpy.run_path(str(ROOT / "docs" / "conf.py"))
EXCEPTIONS = CONF["numpydoc_validation_checks"] - {"all"}
EXCLUDED = CONF["numpydoc_validation_exclude"]


def public_names():
    for module in CONF["MODULES"]:
        for name in importlib.import_module(module).__all__:
            if callable(getattr(importlib.import_module(module), name)):
                path = f"{module}.{name}"
                yield path
                yield from (f"{path}.{method}" for method in CONF["autosummary_context"]["public"].get(path, []))


def methods_with_examples():
    for module in CONF["MODULES"]:
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            for method in CONF["autosummary_context"]["public"].get(f"{module}.{name}", []):
                function = inspect.getattr_static(thing, method)
                if ">>>" in (inspect.getdoc(function) or ""):
                    yield pytest.param(name, inspect.getdoc(function), id=f"{name}.{method}")


def faults(name):
    return {code: text for code, text in validate.validate(name)["errors"] if code not in EXCEPTIONS}


@pytest.mark.parametrize("name", public_names())
def test_docstrings_follow_numpydoc(name):
    if not any(re.search(pattern, name) for pattern in EXCLUDED):
        assert not faults(name)


@pytest.mark.parametrize(("cls", "docstring"), methods_with_examples())
def test_examples_of_a_method_show_the_class(cls, docstring):
    """A method that classes inherit has an example for each of them."""
    assert cls in docstring.partition("Examples\n--------")[2]


def test_every_exception_is_needed():
    names = list(public_names())
    found = {code for name in names for code, _ in validate.validate(name)["errors"]}
    assert found >= EXCEPTIONS
    for pattern in EXCLUDED:
        assert any(re.search(pattern, name) and faults(name) for name in names), pattern
