"""Check what a fit says on its way, what it brings to the client, and that it leaves nothing on the workers."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("distributed")

import dask.array as da
import distributed
from helpers.dask_fits import after_epoch, task_names, wait_until, wait_until_nothing_is_left
from helpers.dask_tables import make_table

from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
from sklearn_mf.dask import DaskMatrixFactorizationRanker, DaskMatrixFactorizationRegressor

try:
    import sklearn.callback as callback
except ImportError:
    callback = None
needs_callbacks = pytest.mark.skipif(callback is None, reason="scikit-learn has callbacks from 1.9 on")

X, y, _ = make_table()
LAZY = da.from_array(X, chunks=(10_000, 2)), da.from_array(y, chunks=10_000)
PARAMETERS = {"rank": 4, "max_iter": 5, "random_state": 0}
BOTH = pytest.mark.parametrize(
    ("of_cluster", "local"),
    [
        (DaskMatrixFactorizationRegressor, MatrixFactorizationRegressor),
        (DaskMatrixFactorizationRanker, MatrixFactorizationRanker),
    ],
    ids=["regressor", "ranker"],
)


def without_seconds(text):
    return re.sub(r"[\d.]+ s$", "", text, flags=re.MULTILINE).splitlines()


@BOTH
def test_partitions_stay_on_the_workers_until_the_first_epoch_is_over(
    client_of_threads, monkeypatch, of_cluster, local
):
    asked, gather = [], distributed.Client.gather

    def note(self, futures, *args, **kwargs):
        asked.extend(future.key for future in futures)
        return gather(self, futures, *args, **kwargs)

    def look():
        assert client_of_threads.run_on_scheduler(task_names)  # anchors and steps
        wait_until(lambda: all(key.startswith("sklearn_mf-") for key in client_of_threads.run_on_scheduler(task_names)))

    monkeypatch.setattr(distributed.Client, "gather", note)
    told = after_epoch(monkeypatch, 2, look)
    of_cluster(client=client_of_threads, **PARAMETERS).fit(*LAZY)
    assert len(told) >= 2
    assert not [key for key in asked if "artition" in str(key)]
    assert [key for key in asked if "_number_of" in str(key)]
    wait_until_nothing_is_left(client_of_threads)


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True, "max_iter": 12, "n_iter_no_change": 2}], ids=str)
def test_verbose_says_what_a_local_fit_says(client_of_threads, capsys, parameters):
    parameters = {**PARAMETERS, "verbose": 1, **parameters}
    MatrixFactorizationRegressor(**parameters).fit(X, y)
    expected = without_seconds(capsys.readouterr().out)
    DaskMatrixFactorizationRegressor(client=client_of_threads, **parameters).fit(*LAZY)
    assert without_seconds(capsys.readouterr().out) == expected
    assert len(expected) >= 5


def test_verbose_of_the_ranker(client_of_threads, capsys):
    MatrixFactorizationRanker(**PARAMETERS, verbose=1).fit(X, y)
    expected = without_seconds(capsys.readouterr().out)
    DaskMatrixFactorizationRanker(client=client_of_threads, **PARAMETERS, verbose=1).fit(*LAZY)
    assert without_seconds(capsys.readouterr().out) == expected
    assert len(expected) >= 3


class Stop:
    """A callback that asks to stop after two epochs."""

    def setup(self, estimator, context):
        self.n_rows = []

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None):
        self.n_rows.append(len(X))
        return context.task_name == "epoch" and context.task_id == 1

    def teardown(self, estimator, context):
        pass


class AskForModel(Stop):
    """A callback that asks for the model."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return False


@needs_callbacks
@BOTH
def test_callback_that_stops(client_of_threads, of_cluster, local):
    model = of_cluster(client=client_of_threads, **PARAMETERS).set_callbacks(Stop()).fit(*LAZY)
    expected = local(**PARAMETERS).set_callbacks(Stop()).fit(X, y)
    assert model.n_iter_ == expected.n_iter_ == 2
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@needs_callbacks
@BOTH
def test_callback_that_asks_for_the_model(client_of_threads, of_cluster, local):
    model = of_cluster(client=client_of_threads, **PARAMETERS).set_callbacks(AskForModel())
    with pytest.raises(NotImplementedError, match="the model is spread over the workers"):
        model.fit(*LAZY)
    assert not hasattr(model, "n_iter_")
    wait_until_nothing_is_left(client_of_threads)


@BOTH
def test_interrupted_fit(client_of_threads, monkeypatch, of_cluster, local):
    def interrupt():
        raise KeyboardInterrupt

    after_epoch(monkeypatch, 2, interrupt)
    model = of_cluster(client=client_of_threads, **PARAMETERS)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt) as raised:
        model.fit(*LAZY)
    assert vars(model) == before
    wait_until_nothing_is_left(client_of_threads)  # while the error has its traceback
    assert raised.tb is not None


def test_client_that_closes(client_of_threads, monkeypatch):
    other = distributed.Client(client_of_threads.cluster, set_as_default=False)
    after_epoch(monkeypatch, 2, other.close)
    with pytest.raises(Exception, match=r"(?i)clos|cancel|not running"):
        DaskMatrixFactorizationRegressor(client=other, **PARAMETERS).fit(*LAZY)
    wait_until_nothing_is_left(client_of_threads)


def test_two_fits_at_once(client_of_threads):
    """Workers have one thread each."""
    expected = MatrixFactorizationRegressor(**PARAMETERS).fit(X, y).predict(X)

    def fit(_):
        return DaskMatrixFactorizationRegressor(client=client_of_threads, **PARAMETERS).fit(*LAZY).to_local()

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(fit, range(2)):
            np.testing.assert_array_equal(found.predict(X), expected)
