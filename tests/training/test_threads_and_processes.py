"""Check that threads, pools and forks give the same bits."""

import multiprocessing
import os
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._utils.threads import Threads, chunks
from sklearn_mf.datasets import make_ratings


@pytest.fixture(scope="module")
def ratings():
    return make_ratings(n_users=700, n_items=400, n_ratings=40_000, random_state=0, return_X_y=True)


def fitted(X, y, n_jobs=None, **parameters):
    return MatrixFactorizationRegressor(16, max_iter=4, n_jobs=n_jobs, random_state=0, **parameters).fit(X, y)


def bits(model):
    return [array.tobytes() for array in (*model.factors_, *model.biases_)] + model.loss_curve_


def fit_bits(X, y, n_jobs=None):
    return bits(fitted(X, y, n_jobs))


@pytest.mark.parametrize("n_columns", [2, 3])
@pytest.mark.parametrize("implicit_features", [None, "both"])
def test_same_bits_for_any_number(ratings, n_columns, implicit_features):
    X, y = ratings
    X = np.column_stack([X, np.arange(len(y)) % 7])[:, :n_columns]
    one = fitted(X, y, 1, implicit_features=implicit_features)
    for n_jobs in (2, 3, 8, -1):
        other = fitted(X, y, n_jobs, implicit_features=implicit_features)
        assert bits(other) == bits(one)
        np.testing.assert_array_equal(other.predict(np.tile(X, (4, 1))), np.tile(one.predict(X), 4))


@pytest.mark.slow
def test_in_pools_and_in_threads(ratings):
    X, y = ratings
    expected = fit_bits(X, y)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(lambda _: fit_bits(X, y, 2), range(8)))
    for prefer in ("processes", "threads"):
        for n_jobs in (None, 2):
            model = MatrixFactorizationRegressor(16, max_iter=4, n_jobs=n_jobs, random_state=0)
            found = joblib.Parallel(2, prefer=prefer)(joblib.delayed(clone(model).fit)(X, y) for _ in range(3))
            assert [bits(model) for model in found] == [expected] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork(ratings):
    """A child of a process that has run threads runs its own."""
    X, y = ratings
    expected = fit_bits(X, y, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside other threads
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            assert list(pool.map(fit_bits, [X, X], [y, y], [2, 1])) == [expected, expected]


def test_workers_of_a_search_have_one_thread_each():
    """``n_jobs=None`` within joblib's processes is 1, so a search does not use more threads than it was given."""
    assert joblib.Parallel(2)(joblib.delayed(joblib.effective_n_jobs)(None) for _ in range(2)) == [1, 1]


def test_map_keeps_order_and_raises():
    def half(x):
        if x == 7:
            raise ValueError("seven")
        return x / 2

    for n in (1, 3):
        with Threads(n) as threads:
            assert threads.map(half, range(5)) == [0, 0.5, 1, 1.5, 2]
            with pytest.raises(ValueError, match="seven"):
                threads.map(half, range(9))
    assert chunks(10, 4) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert chunks(0, 4) == []
