"""Fixtures of the tests of data sets."""

import pytest

from sklearn_mf.datasets import _movielens


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A file not found on disk is asked for at an address where nobody answers."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(_movielens, "ARCHIVE_URL", "http://127.0.0.1:9/ml-{variant}.zip")
