"""Puts figures and the backend back after examples that draw."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _figures_and_backend_are_put_back():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
        sys.modules["matplotlib.pyplot"].switch_backend("agg")
