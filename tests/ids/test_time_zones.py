"""Check that datetimes with a time zone and without are two kinds of ids, in every call after fit too."""

import pickle
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor
from sklearn_mf.metrics import ranking_of_lists

DAYS = [datetime(2024, 1, 1) + timedelta(days=k) for k in range(4)]
AWARE = [day.replace(tzinfo=timezone.utc) for day in DAYS]
BERLIN = [day.astimezone(timezone(timedelta(hours=1))) for day in AWARE]
Y = [1.0, 2, 3, 4]
# scikit-learn 1.6 does not see the names of polars frames.
names_of_polars = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def arrow(days, zone):
    return pa.array(days, pa.timestamp("us", zone))


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


NAIVE_COLUMNS = {
    "list": lambda: list(DAYS),
    "objects": lambda: objects(DAYS),
    "numpy": lambda: np.array(DAYS, dtype="M8[us]"),
    "dates": lambda: [day.date() for day in DAYS],
    "pandas": lambda: pd.Series(DAYS),
    "pandas index": lambda: pd.DatetimeIndex(DAYS),
    "pandas objects": lambda: pd.Series(DAYS, dtype=object),
    "timestamps": lambda: [pd.Timestamp(day) for day in DAYS],
    "pandas categorical": lambda: pd.Series(pd.Categorical(DAYS)),
    "polars": lambda: pl.Series(DAYS),
    "pyarrow": lambda: pa.chunked_array([arrow(DAYS, None)]),
    "pyarrow array": lambda: arrow(DAYS, None),
    "pyarrow dictionary": lambda: arrow(DAYS, None).dictionary_encode(),
}
AWARE_COLUMNS = {
    "list": lambda: list(AWARE),
    "another zone": lambda: list(BERLIN),
    "objects": lambda: objects(AWARE),
    "pandas": lambda: pd.Series(AWARE),
    "pandas index": lambda: pd.DatetimeIndex(AWARE),
    "pandas objects": lambda: pd.Series(AWARE, dtype=object),
    "timestamps": lambda: [pd.Timestamp(day) for day in BERLIN],
    "pandas categorical": lambda: pd.Series(pd.Categorical(AWARE)),
    "pandas pyarrow": lambda: pd.Series(AWARE).astype(pd.ArrowDtype(pa.timestamp("us", "Europe/Berlin"))),
    "polars": lambda: pl.Series(DAYS).dt.replace_time_zone("UTC"),
    "pyarrow": lambda: pa.chunked_array([arrow(AWARE, "UTC")]),
    "pyarrow array": lambda: arrow(AWARE, "UTC"),
    "pyarrow dictionary": lambda: arrow(AWARE, "UTC").dictionary_encode(),
    "pandas pyarrow dictionary": lambda: pd.Series(
        pd.arrays.ArrowExtensionArray(arrow(AWARE, "UTC").dictionary_encode())
    ),
}


def table(days):
    """Users, items and days, in the kind of table that the days are for."""
    if isinstance(days, pl.Series):
        return pl.DataFrame({"u": [1, 2, 1, 2], "i": [1, 1, 2, 2], "day": days})
    if isinstance(days, (pa.Array, pa.ChunkedArray)):
        return pa.table({"u": [1, 2, 1, 2], "i": [1, 1, 2, 2], "day": days})
    return pd.DataFrame({"u": [1, 2, 1, 2], "i": [1, 1, 2, 2], "day": days})


def fitted(days, **parameters):
    return MatrixFactorizationRegressor(rank=1, max_iter=2, handle_unknown="error", **parameters).fit(table(days), Y)


@names_of_polars
@pytest.mark.parametrize("name", AWARE_COLUMNS)
def test_a_column_with_a_zone_is_refused_after_a_fit_without(name):
    with pytest.raises(ValueError, match=r"column 2 \('day'\) of X are datetimes with a time zone .*on datetime ids"):
        fitted(DAYS).predict(table(AWARE_COLUMNS[name]()))
    fitted(AWARE).predict(table(AWARE_COLUMNS[name]()))


@names_of_polars
@pytest.mark.parametrize("name", NAIVE_COLUMNS)
def test_a_column_without_a_zone_is_refused_after_a_fit_with(name):
    with pytest.raises(
        ValueError, match=r"are datetimes .*fitted on ids that are datetimes with a time zone .*tz_localize"
    ):
        fitted(AWARE).predict(table(NAIVE_COLUMNS[name]()))
    fitted(DAYS).predict(table(NAIVE_COLUMNS[name]()))


@pytest.mark.parametrize("name", AWARE_COLUMNS)
@pytest.mark.parametrize("parameter", ["candidates", "items"])
def test_lists_of_ids(name, parameter):
    def ask(model):
        ids = AWARE_COLUMNS[name]()
        return model.similar_items(ids) if parameter == "items" else model.recommend([1], n_items=1, candidates=ids)

    def fit(days):
        X = pd.DataFrame({"u": [1, 2, 1, 2], "i": days})
        return MatrixFactorizationRegressor(rank=1, max_iter=2).fit(X, Y)

    ask(fit(AWARE))
    with pytest.raises(ValueError, match=f"Ids in {parameter} are datetimes with a time zone"):
        ask(fit(DAYS))


CALLS = {
    "predict": lambda model, X: model.predict(X),
    "explain": lambda model, X: model.explain(X),
    "score": lambda model, X: model.score(X, Y),
    "partial_fit": lambda model, X: model.partial_fit(X, Y),
    "fold_in": lambda model, X: model.fold_in(X.assign(u=[7, 8, 7, 8]), Y),
    "warm start": lambda model, X: model.set_params(warm_start=True).fit(X, Y),
    "recommend, one context": lambda model, X: model.recommend([1], context=[X.day.iloc[0]]),
    "recommend, a table": lambda model, X: model.recommend(X.u, context=X[["day"]]),
    "recommend, a column": lambda model, X: model.recommend(X.u, context=X.day),
    "after pickling": lambda model, X: pickle.loads(pickle.dumps(model)).predict(X),
    "X_val": lambda model, X: model.set_params(early_stopping=True).fit(
        table(AWARE if X.day.dt.tz is None else DAYS), Y, X_val=X, y_val=Y
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("then", "now"), [(DAYS, AWARE), (AWARE, DAYS)], ids=["with a zone", "without"])
def test_every_call_after_fit(call, then, now):
    with pytest.raises(ValueError, match="time zone"):
        CALLS[call](fitted(then), table(now))


def test_the_kind_lasts_when_levels_are_added():
    model = fitted(AWARE)
    model.partial_fit(table([day + timedelta(days=10) for day in AWARE]), Y)
    with pytest.raises(ValueError, match="time zone"):
        model.predict(table(DAYS))


def test_the_encoder():
    encoder = MatrixFactorizationEncoder(MatrixFactorizationRegressor(rank=1, max_iter=2), cv=2)
    encoder.fit(table(AWARE), Y)
    with pytest.raises(ValueError, match="time zone"):
        encoder.transform(table(DAYS))


def test_users_of_lists_and_of_the_ratings_held_out():
    X = pd.DataFrame({"u": AWARE, "i": [1, 2, 1, 2]})
    ranking_of_lists([[1]] * 4, users=AWARE, X_test=X, y_test=Y)
    with pytest.raises(ValueError, match="users has datetime ids"):
        ranking_of_lists([[1]] * 4, users=DAYS, X_test=X, y_test=Y)


def test_categories_that_no_row_has_say_nothing():
    days = pd.Categorical.from_codes([1, 2, 1, 2], categories=pd.Index([DAYS[0], AWARE[1], AWARE[2]], dtype=object))
    with pytest.raises(ValueError, match="time zone"):
        fitted(days).predict(table(DAYS))


@pytest.mark.parametrize(("then", "now"), [(AWARE, DAYS), (DAYS, AWARE)], ids=["with", "without"])
def test_users_that_are_times(then, now):
    """Users asked and users of the pairs to leave out are compared as the ids they are."""
    model = fitted_users(then)
    with pytest.raises(ValueError, match="time zone"):
        model.recommend(then, n_items=1, exclude=list(zip(now, "abab", strict=True)))
    assert model.recommend(then, n_items=1, exclude=list(zip(then, "abab", strict=True)))[0].shape == (4, 1)


@pytest.mark.parametrize("column", [pl.Series, pd.Series, lambda days: pl.Series(days).to_arrow()])
def test_one_row_of_contexts_as_a_column(column):
    model = fitted(DAYS)
    with pytest.raises(ValueError, match="time zone"):
        model.recommend([1, 2], context=column(AWARE[:1]))


def fitted_users(days):
    rows = [[day, item] for day, item in zip(days, "abab", strict=True)]
    return MatrixFactorizationRegressor(2, max_iter=1, random_state=0).fit(rows, Y)
