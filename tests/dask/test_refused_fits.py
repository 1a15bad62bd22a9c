"""Check that what cannot be fitted on a cluster is refused clearly, and leaves all as it was."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

pytest.importorskip("distributed")

import dask
import dask.array as da
import dask.dataframe as dd
from helpers.dask_fits import wait_until_nothing_is_left
from helpers.dask_tables import make_table

from sklearn_mf.dask import DaskMatrixFactorizationRanker, DaskMatrixFactorizationRegressor

X, y, _ = make_table(900, 40, 30)
LAZY_X, LAZY_Y = da.from_array(X, chunks=(300, 2)), da.from_array(y, chunks=300)
FRAME = dd.from_pandas(pd.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y}), npartitions=3)


def change_second(array, change):
    """Change the second block of three."""

    def change_one(block, block_info=None):
        return change(block) if block_info[0]["chunk-location"][0] == 1 else block

    return array.map_blocks(change_one, dtype=array.dtype, meta=np.empty((0,) * array.ndim, array.dtype))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((LAZY_X, LAZY_Y.rechunk(450)), ValueError, r"X has 3 partitions, but y has 2. Divide y like X"),
        ((LAZY_X, LAZY_Y, LAZY_Y.rechunk(900)), ValueError, "X has 3 partitions, but sample_weight has 1"),
        ((X, LAZY_Y), TypeError, r"X is a ndarray, but DaskMatrixFactorizationRegressor takes Dask .*from_array"),
        ((LAZY_X, y), TypeError, "y is a ndarray"),
        ((LAZY_X, None), ValueError, "requires y to be passed, but the target y is None"),
        ((LAZY_X[:, 0], LAZY_Y), ValueError, r"X has 1 dimension\(s\)"),
        ((LAZY_X, LAZY_X), ValueError, r"y has 2 dimension\(s\)"),
        ((FRAME, FRAME["rating"]), ValueError, "X has 3 columns. A fit on a cluster takes two columns: user and item"),
        ((LAZY_X[:, :1], LAZY_Y), ValueError, "X has 1 columns. A fit on a cluster takes two"),
        ((LAZY_X, LAZY_Y.rechunk(((300, 200, 400),))), ValueError, r"Partition 1 has 300 .* 200 of y. .*y\.rechunk\(X"),
        (
            (dask.delayed(X, name="table"), LAZY_Y),
            TypeError,
            "X is a Delayed.*, but DaskMatrixFactorizationRegressor takes",
        ),
        ((LAZY_X, LAZY_Y), ValueError, r"There is no Dask client. Make one with"),
    ],
    ids=str,
)
def test_tables_refused_before_a_client_is_looked_for(given, error, message):
    with pytest.raises(error, match=message):
        DaskMatrixFactorizationRegressor().fit(*given)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "huber"}, r"needs loss='squared_error'. Got loss='huber'. Only MatrixFactorizationRegressor"),
        ({"warm_start": True}, "needs warm_start=False"),
        ({"memory_map": True}, "needs memory_map=None"),
        ({"checkpoint_every": 0}, "The 'checkpoint_every' parameter of DaskMatrixFactorizationRegressor must be"),
        ({"timeout": -1}, "The 'timeout' parameter of DaskMatrixFactorizationRegressor must be"),
        ({"timeout": 0}, "The 'timeout' parameter"),
        ({"timeout": 0.5}, "The 'timeout' parameter"),
        ({"client": 3}, "The 'client' parameter of DaskMatrixFactorizationRegressor must be"),
        ({"rank": -1}, "The 'rank' parameter"),
    ],
    ids=str,
)
def test_parameters_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        DaskMatrixFactorizationRegressor(**parameters).fit(LAZY_X, LAZY_Y)


def test_not_fitted():
    model = DaskMatrixFactorizationRegressor()
    for ask in (model.to_local, lambda: model.predict(LAZY_X), lambda: model.recommend(LAZY_X[:, 0])):
        with pytest.raises(NotFittedError):
            ask()


OTHER_COLUMNS = dd.from_delayed(
    [
        dask.delayed(pd.DataFrame)({"user": X[300 * n : 300 * n + 300, 0], name: X[300 * n : 300 * n + 300, 1]})
        for n, name in enumerate(["item", "thing", "item"])
    ],
    meta=FRAME._meta[["user", "item"]],
    verify_meta=False,
)
CUT_OTHERWISE = LAZY_Y.rechunk(((300, 200, 400),)).map_blocks(np.asarray, chunks=((np.nan,) * 3,))
TEXT = change_second(LAZY_X.astype(object), lambda block: block.astype(str).astype(object))
MISSING = change_second(LAZY_X.astype(float), lambda block: block * np.nan)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((LAZY_X, CUT_OTHERWISE), r"In partition [12]: It has 300 rows of X, but [24]00 of y. Divide y like X"),
        ((LAZY_X[LAZY_Y > 9], None, LAZY_Y), r"In partition [012]: It has 0 rows of X, but 300 of sample_weight"),
        ((LAZY_X, change_second(LAZY_Y, lambda block: block * np.nan)), "In partition 1: .*y contains NaN"),
        ((LAZY_X, LAZY_Y, change_second(LAZY_Y, lambda block: -block)), "In partition 1: .*sample_weight"),
        ((LAZY_X, LAZY_Y, LAZY_Y * 0), "X has no rows with positive weight: .*all weights are 0"),
        ((LAZY_X[LAZY_Y > 9], LAZY_Y[LAZY_Y > 9]), "X has no rows with positive weight: all partitions are empty"),
        ((OTHER_COLUMNS, FRAME["rating"]), r"In partition 1: The columns of X are \['user', 'thing'\]"),
        ((TEXT, LAZY_Y), "(?i)In partition 1, compared with earlier partitions: column 0 of X.*number.*text"),
        ((MISSING, LAZY_Y), "In partition 1: .*column 0 of X"),
    ],
    ids=["lengths", "no rows but weights", "NaN", "weights", "no weight", "no rows", "columns", "kinds", "missing ids"],
)
def test_partitions_refused(client_of_threads, given, message):
    kind = DaskMatrixFactorizationRanker if given[1] is None else DaskMatrixFactorizationRegressor
    model = kind(2, max_iter=1, client=client_of_threads).fit(LAZY_X, LAZY_Y)
    before = dict(vars(model))
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        model.fit(*given)
    assert vars(model) == before
    wait_until_nothing_is_left(client_of_threads)  # while the error has its traceback
    causes = [raised.value]
    while causes[-1] is not None:
        assert "No worker found" not in str(causes[-1])  # which is no part of the story
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    assert raised.tb is not None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"checkpoint_every": 1, "checkpoint_folder": "nowhere"}, "checkpoint_folder='nowhere' is not a folder"),
        ({"checkpoint_folder": "."}, "checkpoint_folder is given, but checkpoint_every is None"),
    ],
)
def test_folders_refused(client_of_threads, parameters, message):
    def explode(block):
        raise AssertionError("computed")

    lazy = LAZY_X.map_blocks(explode, dtype=X.dtype, meta=X[:0])
    with pytest.raises(ValueError, match=message):
        DaskMatrixFactorizationRegressor(client=client_of_threads, **parameters).fit(lazy, LAZY_Y)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((X,), TypeError, "X is a ndarray, but DaskMatrixFactorizationRanker takes Dask arrays"),
        ((FRAME,), ValueError, "X has 3 columns. A fit on a cluster takes two"),
        ((LAZY_X, LAZY_Y.rechunk(450)), ValueError, "X has 3 partitions, but y has 2"),
    ],
    ids=["array", "columns", "partitions"],
)
def test_tables_refused_by_the_ranker(given, error, message):
    with pytest.raises(error, match=message):
        DaskMatrixFactorizationRanker().fit(*given)
