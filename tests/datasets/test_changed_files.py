"""Check that a file that changes after it was opened is refused, whatever changes in it and whenever."""

import os

import numpy as np
import pandas as pd
import pytest
from helpers.batches import make_batches_small

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import open_ratings

FRAME = pd.DataFrame({"user": np.arange(30) % 7, "item": np.arange(30) % 11, "rating": np.arange(30) % 5})
SUFFIXES = "csv", "parquet"
CHANGED = "has changed since it was opened.* Open it again.$"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    make_batches_small(monkeypatch, 4, 60)


def write(path, frame=FRAME):
    """Write a file; one that was there before gets another time, however fast the test is."""
    before = path.stat().st_mtime_ns if path.exists() else None
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path, index=False)
    if before is not None:
        os.utime(path, ns=(before + 10**9, before + 10**9))
    return path


def fit(ratings):
    return MatrixFactorizationRegressor(rank=2, max_iter=1, random_state=0).fit(ratings)


CHANGES = {
    "columns in another order": FRAME[["item", "user", "rating"]],
    "fewer rows": FRAME[:20],
    "more rows": pd.concat([FRAME, FRAME]),
    "other ratings": FRAME.assign(rating=1 + np.arange(30) % 5),
    "a column with another name": FRAME.rename(columns={"rating": "stars"}),
    "a column of text": FRAME.assign(rating="x"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_before_a_fit(tmp_path, suffix, change):
    path = write(tmp_path / f"ratings.{suffix}")
    ratings = open_ratings(path)
    fit(ratings)
    fit(ratings)
    write(path, CHANGES[change])
    with pytest.raises(ValueError, match=f"^{path} {CHANGED}"):
        fit(ratings)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_gone(tmp_path, suffix):
    path = write(tmp_path / f"ratings.{suffix}")
    ratings = open_ratings(path)
    path.unlink()
    with pytest.raises(ValueError, match=f"^{path} {CHANGED}") as raised:
        fit(ratings)
    assert isinstance(raised.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_during_a_reading(tmp_path, suffix, change):
    path = write(tmp_path / f"ratings.{suffix}")
    batches = open_ratings(path).batches()
    next(batches)
    write(path, CHANGES[change])
    with pytest.raises(ValueError, match=f"^{path} {CHANGED}"):
        list(batches)


def test_an_error_of_the_system_during_a_reading(tmp_path, monkeypatch):
    path = write(tmp_path / "ratings.parquet")
    ratings, is_changed = open_ratings(path), False

    def read(*_):
        if is_changed:
            write(path, FRAME[:20])
        raise OSError("no such block")

    monkeypatch.setattr("sklearn_mf.datasets._parquet._read", read)
    with pytest.raises(OSError, match=r"^no such block$"):
        fit(ratings)
    is_changed = True
    with pytest.raises(ValueError, match=CHANGED) as raised:
        fit(ratings)
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_change_while_the_file_is_opened(tmp_path, suffix, monkeypatch):
    path = write(tmp_path / f"ratings.{suffix}")
    name = "open_text" if suffix == "csv" else "open_parquet"
    module = "sklearn_mf.datasets._open"
    opener = getattr(__import__(module, fromlist=[name]), name)

    def open_and_change(*args):
        opened = opener(*args)
        write(path, FRAME[:20])
        return opened

    monkeypatch.setattr(f"{module}.{name}", open_and_change)
    ratings = open_ratings(path)
    with pytest.raises(ValueError, match=CHANGED):
        fit(ratings)


def test_one_file_of_a_folder(tmp_path):
    paths = [write(tmp_path / f"{name}.parquet") for name in "abc"]
    ratings = open_ratings(tmp_path)
    write(paths[1])
    with pytest.raises(ValueError, match=f"^{paths[1]} {CHANGED}"):
        fit(ratings)
