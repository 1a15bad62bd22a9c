"""Check that the regressor of a cluster learns the bits of the local one, and what goes with it."""

import io
import pickle
from inspect import signature

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

pytest.importorskip("distributed")

import dask.array as da
import dask.dataframe as dd
from helpers.dask_tables import assert_same_regressor, make_frame, make_table
from sklearn.utils.estimator_checks import check_estimator

from sklearn_mf import MatrixFactorizationRegressor, save_model
from sklearn_mf.dask import DaskMatrixFactorizationRanker, DaskMatrixFactorizationRegressor
from sklearn_mf.metrics import make_catalog_scorer, ndcg_at_k

PARAMETERS = {"rank": 4, "max_iter": 3, "random_state": 0}


def lazy_array(array, chunks):
    return da.from_array(array, chunks=(chunks, *array.shape[1:]))


def fit_both(client, lazy, eager, **parameters):
    """Fit on the cluster and here; return local estimators."""
    parameters = {**PARAMETERS, **parameters}
    model = DaskMatrixFactorizationRegressor(client=client, **parameters)
    assert model.fit(*lazy) is model
    return model.to_local(), MatrixFactorizationRegressor(**parameters).fit(*eager)


@pytest.fixture
def some_workers(request):
    """A client of some workers that are threads."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=request.param, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.parametrize("implicit_features", [None, "both"])
@pytest.mark.parametrize("some_workers", [2, 5], indirect=True)
def test_bits_of_arrays(some_workers, implicit_features):
    table = make_table()
    cuts = (100, 0, 12_000, 9_900, 8_000)
    lazy = [lazy_array(part, cuts) for part in table]
    found, expected = fit_both(some_workers, lazy, table, implicit_features=implicit_features)
    assert_same_regressor(found, expected, *table[:2])


def test_weights_whose_sum_overflows(client_of_threads):
    X, y, weights = make_table(900, 40, 30)
    table = X, y, 1e308 * weights
    found, expected = fit_both(client_of_threads, [lazy_array(part, 300) for part in table], table)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    np.testing.assert_allclose(found._mean_weight, expected._mean_weight)
    save_model(found, io.BytesIO())


@pytest.mark.parametrize("weighted", [False, True])
def test_bits_of_frames_on_processes(client, weighted):
    """Text ids, unknown lengths, an empty partition."""
    frame = make_frame()
    frame["part"] = np.arange(len(frame)) // 3000
    lazy = dd.from_pandas(frame, npartitions=10)
    lazy, frame = lazy[lazy["part"] != 4], frame[frame["part"] != 4]
    columns = [["user", "item"], "rating", "weight"][: 3 if weighted else 2]
    found, expected = fit_both(client, [lazy[own] for own in columns], [frame[own] for own in columns])
    assert list(found.feature_names_in_) == ["user", "item"]
    assert_same_regressor(found, expected, frame[["user", "item"]], frame["rating"])


def test_bits_of_parquet(client_of_threads, tmp_path):
    """Dask reads small files together, and not the same ones for all columns."""
    pytest.importorskip("pyarrow")
    frame = make_frame(8_000)
    for n in range(8):
        frame[1000 * n : 1000 * n + 1000].to_parquet(tmp_path / f"{n}.parquet")
    lazy = dd.read_parquet(tmp_path)
    given = lazy[["user", "item"]], lazy["rating"], lazy["weight"]
    if hasattr(lazy, "optimize"):
        assert given[1].optimize().npartitions < given[1].npartitions
    X, y, weights = frame[["user", "item"]], frame["rating"], frame["weight"]
    found, expected = fit_both(client_of_threads, given, [X, y, weights])
    assert_same_regressor(found, expected, X, y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True, "max_iter": 8, "n_iter_no_change": 2},
        {"tol": 1e-3, "schedule": "constant", "max_iter": 5},
        {"n_jobs": 2, "damping": (2.0, 5.0)},
        {"checkpoint_every": 1},
    ],
    ids=str,
)
def test_bits_of_parameters(client_of_threads, parameters):
    """Unknown lengths, and columns in chunks of their own."""
    X, y, _ = make_table(20_000)
    is_kept = y > 1
    lazy_X, lazy_y = da.from_array(X, chunks=(7000, 1)), da.from_array(y, chunks=7000)
    keep = lazy_y > 1
    local = {name: value for name, value in parameters.items() if not name.startswith("checkpoint")}
    model = DaskMatrixFactorizationRegressor(client=client_of_threads, **PARAMETERS | parameters)
    found = model.fit(lazy_X[keep], lazy_y[keep]).to_local()
    X, y = X[is_kept], y[is_kept]
    assert_same_regressor(found, MatrixFactorizationRegressor(**PARAMETERS | local).fit(X, y), X, y)


def test_few_ratings_on_more_workers_than_sections(client_of_threads):
    X, y, _ = make_table(900, 40, 30)
    found, expected = fit_both(client_of_threads, [lazy_array(X, 300), lazy_array(y, 300)], [X, y])
    assert_same_regressor(found, expected, X, y)


def fit_few(as_frame):
    """Give a fitted estimator of a cluster that is gone, the local one, and the ids."""
    from distributed import Client

    X, y, _ = make_table(900, 40, 30)
    X = pd.DataFrame(X, columns=["user", "item"]) if as_frame else X
    lazy_X = dd.from_pandas(X, npartitions=3) if as_frame else lazy_array(X, 300)
    with Client(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as client:
        model = DaskMatrixFactorizationRegressor(client=client, **PARAMETERS).fit(lazy_X, lazy_array(y, 300))
    return model, MatrixFactorizationRegressor(**PARAMETERS).fit(X, y), X


@pytest.fixture(scope="module")
def fitted():
    """A model of arrays."""
    return fit_few(as_frame=False)


@pytest.fixture(params=[False, True], ids=["no client", "client"])
def reader(request):
    """A client or None, and what computes with it."""
    if not request.param:
        return None, lambda lazy: lazy.compute()
    client = request.getfixturevalue("client_of_threads")
    return client, lambda lazy: client.compute(lazy).result()


def test_local_copy_is_an_estimator_of_its_own(fitted):
    model, expected, X = fitted
    local = model.to_local()
    assert type(local) is MatrixFactorizationRegressor
    assert local.get_params() == expected.get_params()
    for copy in (pickle.loads(pickle.dumps(local)), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copy.predict(X), expected.predict(X))
    assert clone(local).get_params() == expected.get_params()
    assert not hasattr(clone(local), "intercept_")
    local.partial_fit(X[:5], np.full(5, 4.0))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_local_copy_passes_the_checks_of_sklearn(fitted):
    check_estimator(fitted[0].to_local())


def test_parameters(client_of_threads):
    model = DaskMatrixFactorizationRegressor(3, client=client_of_threads, checkpoint_every=2, timeout=5)
    own = {"client", "checkpoint_every", "checkpoint_folder", "timeout"}
    assert set(model.get_params()) == own | set(MatrixFactorizationRegressor().get_params())
    copy = clone(model.set_params(max_iter=7))
    assert copy.get_params() == model.get_params()
    assert (copy.client, copy.rank, copy.max_iter) == (client_of_threads, 3, 7)
    assert "rank=3" in repr(model)
    assert "checkpoint_every" in model._repr_html_()
    assert pickle.loads(pickle.dumps(model)).client is None
    assert model.client is client_of_threads


def test_lazy_predictions_of_arrays(fitted, reader):
    model, expected, X = fitted
    client, compute = reader
    model = pickle.loads(pickle.dumps(model)).set_params(client=client)
    lazy = lazy_array(X, (400, 0, 500))
    found = model.predict(lazy)
    assert isinstance(found, da.Array)
    assert (found.chunks, found.dtype) == (((400, 0, 500),), np.float64)
    np.testing.assert_array_equal(compute(found), expected.predict(X))
    cut = model.predict(da.from_array(X, chunks=(400, 1))[lazy[:, 0] > 3])
    np.testing.assert_array_equal(compute(cut), expected.predict(X[X[:, 0] > 3]))


def test_lazy_predictions_of_frames(reader):
    model, expected, X = fit_few(as_frame=True)
    client, compute = reader
    model.set_params(client=client)
    lazy = dd.from_pandas(X, npartitions=3)
    found, wanted = model.predict(lazy), pd.Series(expected.predict(X))
    assert found.divisions == lazy.divisions
    pd.testing.assert_series_equal(compute(found), wanted)
    cut = model.predict(lazy[lazy["user"] == 3])
    pd.testing.assert_series_equal(compute(cut), wanted[X["user"] == 3])


def test_lazy_lists(fitted, reader):
    model, expected, _ = fitted
    client, compute = reader
    model = pickle.loads(pickle.dumps(model)).set_params(client=client)
    users = np.arange(20)
    wanted = expected.recommend(users, 4, as_frame=True)
    for lazy in (da.from_array(users, chunks=7), dd.from_pandas(pd.Series(users), npartitions=3)):
        lists = model.recommend(lazy, 4)
        assert isinstance(lists, dd.DataFrame)
        assert list(lists.columns) == list(wanted.columns)
        pd.testing.assert_frame_equal(compute(lists).reset_index(drop=True), wanted)


def test_eager_tables_are_answered_at_once(fitted):
    model, expected, X = fitted
    for own, wanted in zip(model.predict(X, return_std=True), expected.predict(X, return_std=True), strict=True):
        np.testing.assert_array_equal(own, wanted)
    with pytest.raises(ValueError, match=r"does not take return_std .*call predict of to_local"):
        model.predict(lazy_array(X, 300), return_std=True)


def test_nothing_is_computed_until_it_is_asked_for(fitted):
    model, _, X = fitted

    def explode(block):
        raise AssertionError("computed")

    lazy = lazy_array(X, 300).map_blocks(explode, dtype=X.dtype, meta=X[:0])
    model.predict(lazy)
    model.recommend(lazy[:, 0])


def test_model_of_predictions_travels_once(client_of_threads):
    """Graphs above 10 MB are a warning of Dask's, and so an error here."""
    X, y = np.stack([np.arange(90_000), np.arange(90_000) % 100], axis=1), np.arange(90_000) % 7
    lazy = lazy_array(X, 30_000)
    model = DaskMatrixFactorizationRegressor(client=client_of_threads, **PARAMETERS | {"rank": 32, "max_iter": 1})
    model.fit(lazy, lazy_array(y, 30_000))
    assert len(pickle.dumps(model)) > 11_000_000
    np.testing.assert_array_equal(client_of_threads.compute(model.predict(lazy)).result(), model.predict(X))


def test_fits_inside_of_tasks(client):
    """Each worker has one slot, which the task takes that fits."""
    X, y, _ = make_table(900, 40, 30)
    given = lazy_array(X, 300), lazy_array(y, 300)

    def fit(alpha):
        from sklearn_mf.dask import DaskMatrixFactorizationRegressor

        return DaskMatrixFactorizationRegressor(alpha=alpha, **PARAMETERS).fit(*given).to_local()

    fit.__module__ = "__main__"  # workers do not have this file
    alphas = [0.1, 0.2, 0.3]
    for alpha, found in zip(alphas, client.gather(client.map(fit, alphas, pure=False)), strict=True):
        expected = MatrixFactorizationRegressor(alpha=alpha, **PARAMETERS).fit(X, y)
        np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def test_a_search_of_models_of_a_cluster(client):
    X, y, _ = make_table(900, 40, 30)
    grid, cv = {"rank": [0, 2]}, KFold(2, shuffle=True, random_state=0)
    with joblib.parallel_config(backend="dask", client=client):
        search = GridSearchCV(DaskMatrixFactorizationRegressor(**PARAMETERS), grid, cv=cv, refit=False)
        search.fit(lazy_array(X, 300), lazy_array(y, 300))
    expected = GridSearchCV(MatrixFactorizationRegressor(**PARAMETERS), grid, cv=cv, refit=False).fit(X, y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])


def test_scores_of_lazy_tables(client_of_threads):
    """The client of the estimator is not the one that Dask uses by default."""
    X, y, weights = make_table(900, 40, 30)
    lazy = [lazy_array(table, 300) for table in (X, y, weights)]
    model = DaskMatrixFactorizationRegressor(client=client_of_threads, **PARAMETERS).fit(*lazy[:2])
    for n in (2, 3):
        assert model.score(*lazy[:n]) == pytest.approx(model.to_local().score(*(X, y, weights)[:n]), rel=1e-12)
    assert model.score(X, y) == model.to_local().score(X, y)
    assert "sample_weight" in signature(model.set_score_request).parameters


def test_the_scorer_of_a_catalog_sees_that_test_pairs_were_learned(client_of_threads):
    X = np.unique(make_table(900, 40, 30)[0], axis=0)
    y = np.random.default_rng(0).random(len(X))
    scorer, message = make_catalog_scorer(ndcg_at_k, X=X), f"The model was fitted on {len(X)} rows, but X of"
    for kind, more in ((DaskMatrixFactorizationRegressor, {}), (DaskMatrixFactorizationRanker, {"keep_pairs": False})):
        model = kind(client=client_of_threads, **PARAMETERS, **more)
        model.fit(lazy_array(X, 300), lazy_array(y, 300))
        with pytest.warns(UserWarning, match=message):
            scorer(model, X[::3], y[::3])


def test_lazy_tables_that_do_not_fit(fitted):
    model, _, X = fit_few(as_frame=True)
    lazy = dd.from_pandas(X.assign(rating=1.0), npartitions=3)
    for columns in (["user", "item", "rating"], ["item", "user"]):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(lazy[columns])
    with pytest.raises(ValueError, match="X has 3 features, but DaskMatrixFactorizationRegressor is expecting 2"):
        fitted[0].predict(da.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"X has 1 dimension\(s\)"):
        model.predict(lazy["user"])
    with pytest.raises(ValueError, match=r'users has 2 dimension\(s\).*df\["user"\]'):
        model.recommend(lazy[["user"]])
