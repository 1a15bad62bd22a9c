"""Check that fits on ratings read in batches, and with arrays in files, are those of ratings in memory, bit for bit."""

import errno
import os
from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.batches import make_batches_small
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor
from sklearn_mf._ids.batches import RatingBatches
from sklearn_mf.datasets import make_ratings, open_ratings

N_ROWS = 3000


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    make_batches_small(monkeypatch, 400)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    X, y = make_ratings(120, 80, N_ROWS, random_state=0, return_X_y=True)
    return pd.DataFrame(
        {
            "user": [f"u{user}" for user in X[:, 0]],
            "item": X[:, 1],
            "week": rng.integers(0, 5, N_ROWS),
            "rating": y,
            "n": rng.integers(0, 4, N_ROWS),
        }
    )


def fit(*args, **parameters):
    return MatrixFactorizationRegressor(**{"rank": 4, "max_iter": 3, "random_state": 0, **parameters}).fit(*args)


def check_same(model, expected, X):
    """All that a fit learns is the same."""
    for name in ("categories_", "factors_", "biases_"):
        for own, other in zip(getattr(model, name), getattr(expected, name), strict=True):
            assert own.dtype == other.dtype
            np.testing.assert_array_equal(own, other)
    for name in ("intercept_", "rating_range_", "loss_curve_", "validation_scores_", "n_features_in_"):
        assert getattr(model, name) == getattr(expected, name)
    np.testing.assert_array_equal(model.damping_, expected.damping_)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    if model.loss not in ("poisson", "quantile"):
        np.testing.assert_array_equal(model.predict(X, return_std=True)[1], expected.predict(X, return_std=True)[1])


CASES = {
    "two columns": ({}, ["user", "item"], None),
    "weights": ({}, ["user", "item"], "n"),
    "contexts": ({"implicit_features": "both"}, ["user", "item", "week"], None),
    "contexts and weights": ({"n_jobs": 2}, ["user", "item", "week"], "n"),
    "early stopping": ({"early_stopping": True, "max_iter": 6}, ["user", "item"], "n"),
    "counts": ({"loss": "poisson", "implicit_features": None}, ["user", "item"], None),
    "weighted counts": ({"loss": "poisson", "early_stopping": True}, ["user", "item"], "n"),
    "medians": ({"loss": "absolute_error", "early_stopping": True}, ["user", "item"], None),
    "weighted quantiles": ({"loss": "quantile", "quantile": 0.7}, ["user", "item"], "n"),
    "Huber's loss": ({"loss": "huber", "n_jobs": 2}, ["user", "item"], "n"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("memory_map", [None, True, "folder"])
def test_files_and_tables(tmp_path, frame, case, memory_map):
    parameters, columns, weight = CASES[case]
    if memory_map == "folder":
        memory_map = tmp_path / "arrays"
        memory_map.mkdir()
    X, y, weights = frame[columns], frame["rating"], None if weight is None else frame[weight]
    expected = fit(X, y, weights, **parameters)
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    frame.to_parquet(tmp_path / "ratings.parquet")
    for name in ("ratings.csv", "ratings.parquet"):
        opened = open_ratings(tmp_path / name, columns=[*columns, "rating"], weight=weight)
        model = fit(opened, memory_map=memory_map, **parameters)
        check_same(model, expected, X)
        assert model.feature_names_in_.tolist() == columns
    if memory_map is not None:
        check_same(fit(X, y, weights, memory_map=memory_map, **parameters), expected, X)
    if isinstance(memory_map, Path):
        assert list(memory_map.iterdir()) == []


def test_memmaps_and_other_tables(tmp_path, frame):
    X = frame[["item", "week"]].to_numpy()
    for name, values in [("X", X), ("y", frame["rating"].to_numpy()), ("w", frame["n"].to_numpy(np.float32))]:
        np.save(tmp_path / f"{name}.npy", values)
    given = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "Xyw"]
    expected = fit(X, frame["rating"], frame["n"])
    check_same(fit(*given, memory_map=str(tmp_path)), expected, X)
    for table in (X.tolist(), X.astype(object), X.astype(float)):
        check_same(fit(table, *given[1:], memory_map=tmp_path), expected, X)
    categories = frame[["user"]].astype("category").assign(week=pd.to_datetime(frame["week"], unit="D", utc=True))
    check_same(
        fit(categories, frame["rating"], memory_map=True), fit(categories, frame["rating"]), categories.iloc[:50]
    )
    assert {path.name for path in tmp_path.iterdir()} == {"X.npy", "y.npy", "w.npy"}


def test_a_file_without_a_header_has_no_names(tmp_path, frame):
    frame[["user", "item", "rating"]].to_csv(tmp_path / "ratings.csv", index=False, header=False)
    model = fit(open_ratings(tmp_path / "ratings.csv"))
    X = frame[["user", "item"]].to_numpy(dtype=object)
    check_same(model, fit(X, frame["rating"]), X)
    assert not hasattr(model, "feature_names_in_")
    named = fit(frame[["user", "item"]], frame["rating"])
    named.fit(open_ratings(tmp_path / "ratings.csv"))
    assert not hasattr(named, "feature_names_in_")


def test_own_validation_and_warm_start(tmp_path, frame):
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    opened, X, y = open_ratings(tmp_path / "ratings.csv"), frame[["user", "item"]], frame["rating"]
    model = MatrixFactorizationRegressor(rank=2, max_iter=5, early_stopping=True, warm_start=True, random_state=0)
    expected, own = clone(model), clone(model).set_params(memory_map=tmp_path)
    for _ in range(2):
        expected.fit(X, y, X_val=X[:100], y_val=y[:100])
        own.fit(opened, X_val=X[:100], y_val=y[:100])
        check_same(own, expected, X)
    own.partial_fit(X[:10], y[:10])
    assert own.n_iter_ == expected.n_iter_ + 1


def test_other_estimators_fit_with_a_memory_map(tmp_path, frame):
    X, y = frame[["user", "item"]], frame["rating"]
    model = MatrixFactorizationRegressor(rank=2, max_iter=2, random_state=0)
    mapped = clone(model).set_params(memory_map=tmp_path)
    np.testing.assert_array_equal(cross_val_score(mapped, X, y, cv=2), cross_val_score(model, X, y, cv=2))
    search = GridSearchCV(model, {"memory_map": [None, True, np.True_, np.False_]}, cv=2).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 1
    a, b = (MatrixFactorizationEncoder(each, random_state=0).fit_transform(X, y) for each in (model, mapped))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(make_pipeline(mapped).fit(X, y).predict(X), model.fit(X, y).predict(X))


def test_y_and_weights_are_in_the_file(tmp_path, frame):
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    opened = open_ratings(tmp_path / "ratings.csv")
    with pytest.raises(ValueError, match=r"^y is given, but X is RatingsFile\(.*Leave y out"):
        fit(opened, frame["rating"])
    with pytest.raises(ValueError, match=r"^sample_weight is given, but X is RatingsFile"):
        fit(opened, None, frame["n"])
    with pytest.raises(ValueError, match="y"):
        fit(frame[["user", "item"]])


def test_weights_that_are_all_zero(tmp_path, frame):
    frame.assign(n=0).to_csv(tmp_path / "ratings.csv", index=False)
    with pytest.raises(ValueError, match="Sample weights are all zero"):
        fit(open_ratings(tmp_path / "ratings.csv", weight="n"))


@pytest.mark.parametrize("memory_map", ["nowhere", "", "file", Path("nowhere")])
def test_a_folder_that_is_none(tmp_path, frame, memory_map, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    model = MatrixFactorizationRegressor(memory_map=memory_map)
    with pytest.raises(ValueError, match=r"The 'memory_map' parameter of Matrix.* must be None, True or the path of a"):
        model.fit("no table", None)
    with pytest.raises(NotFittedError):
        model.predict([["u1", 1]])
    for wrong in (5, b"folder", ["folder"]):
        with pytest.raises(ValueError, match="The 'memory_map' parameter"):
            fit(frame[["user", "item"]], frame["rating"], memory_map=wrong)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_files_are_removed_after_an_error(tmp_path, frame, monkeypatch, error):
    def interrupt(*_):
        assert [path.is_dir() for path in tmp_path.iterdir()] == [True]
        raise error

    monkeypatch.setattr("sklearn_mf._regressor.learn", interrupt)
    with pytest.raises(error):
        fit(frame[["user", "item"]], frame["rating"], memory_map=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_before_the_second_reading(tmp_path, frame, monkeypatch):
    n_read = []
    usage = namedtuple("Usage", ["total", "used", "free"])

    def disk_usage(folder):
        n_read.append(folder)
        return usage(10**6, 10**6 - 1000, 1000)

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    monkeypatch.setattr("sklearn_mf._streaming.StreamedInput._encode", None)
    with pytest.raises(OSError, match="needs 0 MB on the disk of memory_map, which has 0 MB"):
        fit(frame[["user", "item"]], frame["rating"], memory_map=tmp_path)
    assert len(n_read) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="there room is not taken in advance")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            errno.ENOSPC,
            "The fit needs 0 MB on the disk of memory_map, which has [0-9,]+ MB: make room, or name a folder",
        ),
        (errno.EDQUOT, "The fit needs 0 MB on the disk of memory_map, where your quota is used up: make room, or name"),
        (errno.EFBIG, "The fit needs a file of 0 MB on the disk of memory_map, where files are limited to less: raise"),
    ],
)
def test_room_that_the_system_refuses(tmp_path, frame, monkeypatch, code, message):
    def refuse(*_):
        raise OSError(code, "no")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    with pytest.raises(OSError, match=message) as raised:
        fit(frame[["user", "item"]], frame["rating"], memory_map=tmp_path)
    assert raised.value.errno == code
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_room_are_those_of_the_system(tmp_path, frame, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr("os.posix_fallocate", fail, raising=False)
    with pytest.raises(OSError, match="the disk is broken"):
        fit(frame[["user", "item"]], frame["rating"], memory_map=tmp_path)


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT, errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize("memory_map", [True, "folder"])
def test_a_folder_where_nothing_can_be_made(tmp_path, frame, monkeypatch, code, memory_map):
    def refuse(*_, **__):
        raise OSError(code, "not here", str(tmp_path / "sklearn_mf_x"))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    where = "in the folder for temporary files" if memory_map is True else "there"
    message = rf"memory_map: the fit cannot make its files {where} \(not here\). Name a folder where files can be made"
    with pytest.raises(type(OSError(code, "")), match=message) as raised:
        fit(frame[["user", "item"]], frame["rating"], memory_map=True if memory_map is True else tmp_path)
    assert raised.value.errno == code
    assert raised.value.filename == str(tmp_path / "sklearn_mf_x")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda frame: frame[:-1], "the end"),
        (lambda frame: frame.replace({"user": {"u5": "u6"}}), "the end"),
        (lambda frame: pd.concat([frame, frame[:1000]]), r"lines \d+ to \d+ of .*after.csv"),
        (lambda frame: frame.replace({"user": {frame["user"].iloc[-1]: "new"}}), r"lines \d+ to \d+ of .*after.csv"),
    ],
)
def test_batches_that_change_between_the_readings(tmp_path, frame, change, place):
    frame.to_csv(tmp_path / "before.csv", index=False)
    change(frame).to_csv(tmp_path / "after.csv", index=False)
    readings = [open_ratings(tmp_path / f"{name}.csv") for name in ("before", "after")]

    class Changing(RatingBatches):
        labels, feature_names = readings[0].labels, readings[0].feature_names

        def batches(self):
            return readings.pop(0).batches()

        def __repr__(self):
            return "Changing()"

    with pytest.raises(ValueError, match=rf"^Changing\(\) has changed while it was read: at {place}"):
        fit(Changing())


def test_a_file_that_changes_between_the_readings(tmp_path, frame, monkeypatch):
    path = tmp_path / "ratings.csv"
    frame.to_csv(path, index=False)
    opened = open_ratings(path)

    def require(storage, n_bytes):
        frame[:-1].to_csv(path, index=False)

    monkeypatch.setattr("sklearn_mf._utils.storage.Storage.require", require)
    with pytest.raises(ValueError, match=r"ratings.csv has changed since it was opened. Open it again.$"):
        fit(opened)


COUNTED = r"\(row numbers in this message count from the first of these rows\)"


def test_wrong_rows_are_counted_from_the_first_of_their_batch(frame):
    ids = np.array([*range(1000), None, *range(1999)], dtype=object)
    table = pd.DataFrame({"user": ids, "item": frame["item"]})
    with pytest.raises(ValueError, match=rf"^In rows 800 to 1199 of X {COUNTED}: .*at row 200"):
        fit(table, frame["rating"], memory_map=True)
    table["user"] = np.array([*range(100), None, *range(2899)], dtype=object)
    with pytest.raises(ValueError, match=r"^Input contains NaN, infinite or missing ids .*at row 100"):
        fit(table, frame["rating"], memory_map=True)
    negative = np.where(np.arange(N_ROWS) == 1000, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"at row 1000 "):
        fit(frame[["user", "item"]], negative, memory_map=True, loss="poisson")


@pytest.mark.parametrize(("first", "rows", "n", "row"), [(100, "0 to 399", 300, 100), (1000, "800 to 1199", 200, 200)])
def test_negative_counts_of_a_file_are_those_of_a_batch(tmp_path, frame, first, rows, n, row):
    ratings = np.where(np.arange(N_ROWS) >= first, -1.0, 1.0)
    frame.assign(rating=ratings).to_parquet(tmp_path / "ratings.parquet")
    message = (
        rf"^In rows {rows} of .*ratings.parquet {COUNTED}: loss='poisson' .*, but y of these rows has {n} negative "
        rf"values, the first at row {row} "
    )
    with pytest.raises(ValueError, match=message):
        fit(open_ratings(tmp_path / "ratings.parquet"), loss="poisson")


def test_ids_of_another_kind_in_a_later_file(tmp_path, frame):
    frame.to_parquet(tmp_path / "a.parquet")
    frame.assign(user=np.arange(N_ROWS) % 50).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(
        ValueError,
        match=rf"^In rows 0 to 399 of .*b.parquet {COUNTED}: Column 0 \('user'\) of X mixes ids of different .*: "
        r"number \(0\), text \('u.*'\). Earlier rows have text ids.",
    ):
        fit(open_ratings(tmp_path))


def test_columns_that_are_no_categories_are_warned_of(tmp_path, frame):
    table = frame[["user", "item", "rating"]].assign(rating=2 * frame["rating"], id=np.arange(N_ROWS))
    messages = []
    for given in (
        (table, frame["rating"], frame["n"]),
        (table, frame["rating"], frame["n"] * 0 + 1),
        (table, frame["rating"]),
    ):
        for memory_map in (None, True):
            with pytest.warns(UserWarning) as warned:  # noqa: PT030
                fit(*given, memory_map=memory_map, max_iter=1)
            messages.append([str(warning.message) for warning in warned])
            assert all(warning.filename == __file__ for warning in warned)
    assert messages[::2] == messages[1::2]
    for words in (
        "looks continuous",
        "looks like an identifier of rows",
        "has the ratings y themselves, or a multiple",
    ):
        assert any(words in message for message in messages[0])
