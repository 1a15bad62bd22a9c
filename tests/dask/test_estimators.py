"""Check that estimators fitted on a cluster are those fitted on one machine, and what they refuse."""

import gc
import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

pytest.importorskip("distributed")

import dask
import dask.array as da
import dask.dataframe as dd
import distributed
from helpers.dask_programs import count_seats

from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
from sklearn_mf._training.progress import Callback
from sklearn_mf.dask import DaskMatrixFactorizationRanker, DaskMatrixFactorizationRegressor

LOCAL = {
    DaskMatrixFactorizationRegressor: MatrixFactorizationRegressor,
    DaskMatrixFactorizationRanker: MatrixFactorizationRanker,
}
BOTH = pytest.mark.parametrize("cls", LOCAL, ids=lambda cls: cls.__name__)
SMALL = {"rank": 4, "max_iter": 4, "random_state": 0}


def make_rows(n=40_000, n_users=9000, n_items=4000, seed=0):
    """Levels enough for three sections; some pairs several times; ratings and weights."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([(n_users * rng.random(n) ** 1.3).astype(int), (n_items * rng.random(n) ** 2).astype(int)])
    X[-500:] = X[:500]
    y = np.round(3 + X[:, 0] % 3 - X[:, 1] % 2 + rng.standard_normal(n), 1)
    y[-200:] = y[:200]
    return X, y, rng.integers(0, 3, n) / 2.0


X, Y, W = make_rows()
CUTS = (3000, 0, 14_000, 23_000)  # uneven, one of them empty


def lazy(array):
    return da.from_array(array, chunks=(CUTS, *array.shape[1:]))


def of_unknown_lengths(array):
    """Partitions whose lengths are known when they are computed."""
    chosen = lazy(array)
    return chosen[da.from_array(np.ones(len(array), dtype=bool), chunks=(CUTS,))]


def frame(text=False):
    """A lazy frame of ids, ratings and weights."""
    ids = [f"u{user}" if text else user for user in X[:, 0]]
    table = pd.DataFrame({"user": ids, "item": X[:, 1], "stars": Y, "weight": W})
    return table, dd.from_pandas(table, npartitions=5)


def arrays(model):
    """All that a model has learned."""
    if isinstance(model, MatrixFactorizationRanker):
        pairs = model._seen_pairs
        kept = [] if pairs is None else [pairs.start, pairs.index]
        numbers = np.array([*model.objective_curve_, model.alpha_, model.damping_, model._preferences.state.unit])
        return [*model._preferences.rows, *model._preferences.state.grams, numbers, *kept]
    state = model._training_state
    tables = [*state.level_sums, *state.centers, *state.coefficients]
    tables = [np.asarray(table) for table in tables if table is not None]
    known = state.knowledge
    numbers = np.array([model.intercept_, known.noise_sum, *known.square_sums, *model.rating_range_])
    curves = np.array(model.loss_curve_), np.array(model.validation_scores_)
    return [*model.factors_, *model.biases_, model.damping_, numbers, *curves, *tables]


def assert_same(found, expected):
    for own, wanted in zip(found.categories_, expected.categories_, strict=True):
        np.testing.assert_array_equal(own, wanted)
        assert own.dtype == wanted.dtype
    for own, wanted in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_array_equal(own, wanted)
    assert found.n_features_in_ == 2


@BOTH
@pytest.mark.parametrize("with_weights", [False, True])
def test_a_cluster_learns_what_one_machine_learns(cls, with_weights, client):
    weights = (W, lazy(W)) if with_weights else (None, None)
    local = LOCAL[cls](**SMALL, n_jobs=2).fit(X, Y, weights[0])
    model = cls(**SMALL, client=client).fit(of_unknown_lengths(X), lazy(Y), weights[1])
    assert_same(model.to_local(), local)
    assert type(model.to_local()) is LOCAL[cls]
    np.testing.assert_array_equal(model.predict(X[:99]), local.predict(X[:99]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"implicit_features": None, "n_jobs": 2},
        {"early_stopping": True, "max_iter": 6},
        {"damping": (2.0, 5.0), "rank": 0, "tol": 1e-3},
    ],
    ids=str,
)
def test_parameters_of_the_regressor(parameters, client_of_threads):
    given = {**SMALL, **parameters}
    local = MatrixFactorizationRegressor(**given).fit(X, Y)
    assert_same(DaskMatrixFactorizationRegressor(**given, client=client_of_threads).fit(lazy(X), lazy(Y)), local)


@pytest.mark.parametrize("parameters", [{"alpha": 0.01, "damping": 2.0, "keep_pairs": False}, {"tol": 0.05}], ids=str)
@pytest.mark.parametrize("with_ratings", [False, True])
def test_parameters_of_the_ranker(parameters, with_ratings, client_of_threads):
    given = {**SMALL, **parameters}
    local = MatrixFactorizationRanker(**given).fit(X, Y if with_ratings else None)
    y = lazy(Y) if with_ratings else None
    assert_same(DaskMatrixFactorizationRanker(**given, client=client_of_threads).fit(lazy(X), y), local)


@BOTH
@pytest.mark.parametrize("text", [False, True], ids=["numbers", "text"])
def test_frames(cls, text, client_of_threads):
    table, lazy_table = frame(text)
    local = LOCAL[cls](**SMALL).fit(table[["user", "item"]], table["stars"], table["weight"])
    model = cls(**SMALL, client=client_of_threads)
    model.fit(lazy_table[["user", "item"]], lazy_table["stars"], lazy_table["weight"])
    assert_same(model, local)
    assert list(model.feature_names_in_) == ["user", "item"]
    predicted = model.predict(lazy_table[["user", "item"]])
    assert isinstance(predicted, dd.Series)
    pd.testing.assert_series_equal(
        predicted.compute(scheduler="sync"), pd.Series(local.predict(table[["user", "item"]])), check_names=False
    )


def test_a_model_learns_on_and_tells_how_sure_it_is(client_of_threads):
    local = MatrixFactorizationRegressor(**SMALL).fit(X, Y)
    found = DaskMatrixFactorizationRegressor(**SMALL, client=client_of_threads).fit(lazy(X), lazy(Y)).to_local()
    for own, wanted in zip(found.predict(X[:50], True), local.predict(X[:50], True), strict=True):
        np.testing.assert_array_equal(own, wanted)
    new = np.array([[10**6, 1], [10**6, 2]])
    np.testing.assert_array_equal(
        found.partial_fit(new, [4, 5]).predict(new), local.partial_fit(new, [4, 5]).predict(new)
    )


@BOTH
@pytest.mark.parametrize("has_client", [False, True])
def test_lazy_predictions_and_lists(cls, has_client, client_of_threads):
    client = client_of_threads
    model = cls(**SMALL, client=client).fit(lazy(X), lazy(Y))
    local = model.to_local()
    if not has_client:
        model.client = None
    predicted = model.predict(of_unknown_lengths(X))
    assert isinstance(predicted, da.Array)
    users = np.unique(X[:, 0])[:7]
    lists = model.recommend(da.from_array(users, chunks=3), 4)
    of_series = model.recommend(dd.from_pandas(pd.Series(users), npartitions=2), 4, candidates=np.unique(X[:, 1])[:20])
    assert dask.is_dask_collection(lists)
    assert dask.is_dask_collection(of_series)
    with dask.config.set(scheduler=client if has_client else "sync"):
        np.testing.assert_array_equal(predicted.compute(), local.predict(X))
        pd.testing.assert_frame_equal(
            lists.compute().reset_index(drop=True), local.recommend(users, 4, as_frame=True), check_dtype=False
        )
        expected = local.recommend(users, 4, candidates=np.unique(X[:, 1])[:20], as_frame=True)
        pd.testing.assert_frame_equal(of_series.compute().reset_index(drop=True), expected, check_dtype=False)
    with pytest.raises(NotFittedError):
        cls().predict(lazy(X))


@BOTH
def test_parameters_copies_and_pickles(cls, client_of_threads):
    model = cls(rank=3, client=client_of_threads, timeout=7.0)
    assert set(model.get_params()) == {
        *LOCAL[cls]().get_params(), "client", "checkpoint_every", "checkpoint_folder", "timeout",
    }  # fmt: skip
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(rank=5).rank == 5
    assert cls(7).rank == 7
    repr(model)
    model.set_params(**SMALL).fit(lazy(X), lazy(Y))
    copy = pickle.loads(pickle.dumps(model))
    assert copy.client is None
    assert_same(copy, model)
    assert_same(pickle.loads(pickle.dumps(model.to_local())), model)
    with pytest.raises(NotFittedError):
        cls().to_local()


@BOTH
@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"y": lazy(Y).rechunk(20_000)}, ValueError, "X has 4 partitions, and y has 2"),
        (
            {"y": lazy(np.append(Y[1:], 1.0)).rechunk(((2999, 0, 14_001, 23_000),))},
            ValueError,
            "In partition 0: .*2999",
        ),
        ({"y": lazy(np.where(np.arange(len(Y)) == 20_000, np.nan, Y))}, ValueError, r"In partition 3: .*row 3000\b"),
        ({"X": X}, TypeError, "X is a ndarray"),
        ({"y": Y}, TypeError, "y is a ndarray"),
        ({"X": lazy(X[:, 0])}, ValueError, "X has 1 dimension"),
        ({"X": lazy(np.column_stack([X, X[:, :1]]))}, ValueError, "X has 3 columns"),
        ({"w": lazy(W * 0)}, ValueError, "all of sample_weight is 0"),
        ({"w": lazy(-W)}, ValueError, r"In partition \d: sample_weight must be"),
        ({"X": lazy(X)[:0], "y": lazy(Y)[:0]}, ValueError, "all partitions are empty"),
    ],
)
def test_bad_tables(cls, changed, error, match, client_of_threads):
    given = {"X": lazy(X), "y": lazy(Y), "w": None, **changed}
    model = cls(**SMALL, client=client_of_threads)
    before = dict(vars(model))
    with pytest.raises(error, match=match):
        model.fit(given["X"], given["y"], given["w"])
    assert vars(model) == before
    assert not sum(client_of_threads.run(count_seats).values())


def test_partitions_of_several_kinds(client_of_threads):
    tables = [pd.DataFrame({"user": users, "item": [1, 2]}) for users in ([1, 2], ["a", "b"])]
    table = dd.from_map(lambda n: tables[n], [0, 1], meta=tables[0].astype({"user": object}))
    y = dd.from_pandas(pd.Series([1.0, 2.0, 3.0, 5.0]), npartitions=2)
    with pytest.raises(ValueError, match="Column 'user' of X mixes"):
        DaskMatrixFactorizationRegressor(client=client_of_threads).fit(table, y)
    renamed = [tables[0], tables[0].rename(columns={"item": "film"})]
    table = dd.from_map(lambda n: renamed[n], [0, 1], meta=tables[0])
    with pytest.raises(ValueError, match=r"In partition 1: The columns of X are \['user', 'film'\]"):
        DaskMatrixFactorizationRegressor(client=client_of_threads).fit(table, y)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"loss": "huber"}, ValueError, "loss='squared_error' only"),
        ({"warm_start": True}, ValueError, "warm_start=False only"),
        ({"memory_map": True}, ValueError, "memory_map=None only"),
        ({"checkpoint_every": 0}, InvalidParameterError, "checkpoint_every"),
        ({"timeout": -1.0}, InvalidParameterError, "timeout"),
        ({"checkpoint_every": 2, "checkpoint_folder": "nowhere"}, ValueError, "'nowhere' is not a folder"),
        ({"checkpoint_folder": "."}, ValueError, "checkpoint_every is None"),
        ({"rank": -1}, InvalidParameterError, "rank"),
        ({"client": 3}, InvalidParameterError, "client"),
    ],
    ids=str,
)
def test_bad_parameters(parameters, error, match, client_of_threads):
    model = DaskMatrixFactorizationRegressor(**{**SMALL, "client": client_of_threads, **parameters})
    with pytest.raises(error, match=match):
        model.fit(lazy(X), lazy(Y))


def test_without_a_client():
    with pytest.raises(ValueError, match="no Dask client"):
        DaskMatrixFactorizationRegressor().fit(lazy(X), lazy(Y))


@pytest.fixture
def at_epoch_2(client):
    """Call a function on the client when it hears of the second epoch."""
    calls = []

    def set_up(function):
        take, heard = Callback.end_round, []

        def end_round(self, *arguments):
            heard.append(1)
            if len(heard) == 2:
                function()
            return take(self, *arguments)

        calls.append(mock.patch.object(Callback, "end_round", end_round))
        calls[-1].start()

    yield set_up
    for call in calls:
        call.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "number", "every", "in_folder"),
    [
        (DaskMatrixFactorizationRegressor, signal.SIGKILL, None, False),
        (DaskMatrixFactorizationRegressor, signal.SIGKILL, 1, True),
        (DaskMatrixFactorizationRegressor, signal.SIGSTOP, 1, False),
        (DaskMatrixFactorizationRanker, signal.SIGKILL, 1, False),
    ],
)
def test_a_worker_that_is_lost_costs_time_alone(cls, number, every, in_folder, client, at_epoch_2, tmp_path):
    parameters = {**SMALL, "max_iter": 40, **({"tol": 0.0} if "Ranker" in cls.__name__ else {})}
    local = LOCAL[cls](**parameters).fit(X, Y)
    lost = sorted(client.run(os.getpid).values())[1]
    at_epoch_2(lambda: os.kill(lost, number))
    model = cls(
        **parameters,
        client=client,
        timeout=2.0,
        checkpoint_every=every,
        checkpoint_folder=tmp_path if in_folder else None,
    )
    model.fit(lazy(X), lazy(Y))  # a process that was stopped is killed, and started again
    assert_same(model, local)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(client, at_epoch_2):
    def interrupt():
        raise KeyboardInterrupt

    at_epoch_2(interrupt)
    model = DaskMatrixFactorizationRegressor(**{**SMALL, "max_iter": 50}, client=client)
    with pytest.raises(KeyboardInterrupt):
        model.fit(lazy(X), lazy(Y))
    assert not hasattr(model, "categories_")
    for _ in range(200):
        if not sum(client.run(count_seats).values()):
            break
    assert not sum(client.run(count_seats).values())
    assert_same(model.set_params(**SMALL).fit(lazy(X), lazy(Y)), MatrixFactorizationRegressor(**SMALL).fit(X, Y))


def test_two_fits_at_once(client):
    """Workers of one thread."""
    seeds = [0, 1]

    def fit(seed):
        model = DaskMatrixFactorizationRegressor(**{**SMALL, "random_state": seed, "max_iter": 10}, client=client)
        return model.fit(lazy(X), lazy(Y))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(fit, seeds))
    for seed, model in zip(seeds, found, strict=True):
        assert_same(model, MatrixFactorizationRegressor(**{**SMALL, "random_state": seed, "max_iter": 10}).fit(X, Y))


def test_the_client_is_given_no_partition(client):
    """Only levels, numbers and the model come to it; partitions are freed once the workers have taken them."""
    gathered = []
    gather = distributed.Client._gather

    async def note(self, futures, *arguments, **options):
        found = await gather(self, futures, *arguments, **options)
        gathered.append(found)
        return found

    with mock.patch.object(distributed.Client, "_gather", note):
        DaskMatrixFactorizationRegressor(**SMALL, client=client).fit(lazy(X), lazy(Y))
    assert gathered
    assert "Partition(" not in repr(gathered)
    gc.collect()
    for _ in range(200):
        left = [key for keys in client.has_what().values() for key in keys]
        if not left:
            break
    assert left == []


def test_verbose_prints_as_one_machine_does(client_of_threads, capsys):
    given = {**SMALL, "early_stopping": True, "max_iter": 8, "verbose": 1}
    MatrixFactorizationRegressor(**given).fit(X, Y)
    expected = capsys.readouterr().out
    DaskMatrixFactorizationRegressor(**given, client=client_of_threads).fit(lazy(X), lazy(Y))
    found = capsys.readouterr().out

    def without_seconds(text):
        return [line.rsplit("  ", 1)[0] if line.endswith(" s") else line for line in text.splitlines()]

    assert without_seconds(found) == without_seconds(expected)
    assert len(found.splitlines()) > 8
