"""Check that the ranker of a cluster learns the bits of the local one."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

pytest.importorskip("distributed")

import dask.array as da
import dask.dataframe as dd
from helpers.dask_tables import assert_same_lists, make_frame, make_table

from sklearn_mf import MatrixFactorizationRanker
from sklearn_mf.dask import DaskMatrixFactorizationRanker

PARAMETERS = {"rank": 4, "max_iter": 3, "random_state": 0}
GIVEN = {"alpha": 0.01, "damping": 2.0}


def lazy_array(array, chunks):
    return da.from_array(array, chunks=(chunks, *array.shape[1:]))


def assert_same(found, expected, X):
    for name in ("factors_", "categories_"):
        for own, wanted in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(own, wanted, err_msg=name)
    assert found.__getstate__().keys() == expected.__getstate__().keys()
    assert found._n_rows == expected._n_rows
    np.testing.assert_allclose(found._mean_weight, expected._mean_weight)
    for name in ("alpha_", "damping_", "objective_curve_", "n_iter_"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    if expected.keep_pairs:
        assert_same_lists(found, expected)
        explained = found.explain(X[:20])
        for name, value in expected.explain(X[:20]).items():
            np.testing.assert_array_equal(explained[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("n_given", "parameters"),
    [
        (1, GIVEN),
        (2, {}),
        (3, {**GIVEN, "keep_pairs": False, "n_jobs": 2}),
        (3, {"alpha": 0.01, "max_iter": 2}),
    ],
    ids=str,
)
def test_bits_of_arrays(client_of_threads, n_given, parameters):
    table = make_table()[:n_given]
    cuts = (100, 0, 12_000, 9_900, 8_000)
    model = DaskMatrixFactorizationRanker(client=client_of_threads, **PARAMETERS | parameters)
    found = model.fit(*[lazy_array(part, cuts) for part in table]).to_local()
    assert_same(found, MatrixFactorizationRanker(**PARAMETERS | parameters).fit(*table), table[0])


def test_bits_of_weights_without_ratings(client_of_threads):
    X, _, weights = make_table(20_000)
    model = DaskMatrixFactorizationRanker(client=client_of_threads, **PARAMETERS | GIVEN)
    found = model.fit(lazy_array(X, 7000), sample_weight=lazy_array(weights, 7000)).to_local()
    assert_same(found, MatrixFactorizationRanker(**PARAMETERS | GIVEN).fit(X, sample_weight=weights), X)


def test_bits_of_frames_on_processes(client):
    """Text ids, unknown lengths, an empty partition."""
    frame = make_frame(20_000)
    frame["part"] = np.arange(len(frame)) // 2000
    lazy = dd.from_pandas(frame, npartitions=10)
    lazy, frame = lazy[lazy["part"] != 4], frame[frame["part"] != 4]
    model = DaskMatrixFactorizationRanker(client=client, checkpoint_every=1, **PARAMETERS)
    found = model.fit(lazy[["user", "item"]], lazy["rating"]).to_local()
    X = frame[["user", "item"]]
    assert_same(found, MatrixFactorizationRanker(**PARAMETERS).fit(X, frame["rating"]), X)


def test_copies_and_lazy_lists(client_of_threads):
    X, y, _ = make_table(900, 40, 30)
    model = DaskMatrixFactorizationRanker(client=client_of_threads, **PARAMETERS)
    model.fit(lazy_array(X, 300), lazy_array(y, 300))
    expected = MatrixFactorizationRanker(**PARAMETERS).fit(X, y)
    assert type(model.to_local()) is MatrixFactorizationRanker
    assert clone(model.to_local()).get_params() == expected.get_params()
    assert clone(model).client is client_of_threads
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected.predict(X))

    held = np.stack([np.arange(40), np.arange(40) % 30], axis=1)
    held = held[~(held[:, None] == X).all(axis=2).any(axis=1)]
    assert model.score(lazy_array(held, 20)) == expected.score(held) > 0

    lazy = model.predict(lazy_array(X, 400))
    np.testing.assert_array_equal(client_of_threads.compute(lazy).result(), expected.predict(X))
    users, wanted = np.arange(20), expected.recommend(np.arange(20), 4, as_frame=True)
    lists = model.recommend(dd.from_pandas(pd.Series(users), npartitions=3), 4)
    found = client_of_threads.compute(lists).result().reset_index(drop=True)
    pd.testing.assert_frame_equal(found, wanted)
