"""Check that fits on a cluster end with the same bits when workers die or stop on the way."""

import gc
import os
import signal
from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("distributed")

import dask.array as da
from helpers.dask_fits import after_epoch, wait_until_nothing_is_left
from helpers.dask_tables import assert_same_regressor, make_table

from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
from sklearn_mf._training.progress import Callback
from sklearn_mf.dask import DaskMatrixFactorizationRanker, DaskMatrixFactorizationRegressor
from sklearn_mf.dask._team import Team, TeamLostError

pytestmark = pytest.mark.slow
X, y, _ = make_table()
LAZY = da.from_array(X, chunks=(5_000, 2)), da.from_array(y, chunks=5_000)
PARAMETERS = {"rank": 4, "max_iter": 5, "random_state": 0}


@pytest.fixture
def strike(client):
    """Give what sends a signal to the process of a worker; those that were stopped go on afterwards."""
    pids, stopped = list(client.run(os.getpid).values()), []

    def send(number):
        os.kill(pids[1], number)
        if number == signal.SIGSTOP:
            stopped.append(pids[1])

    yield send
    for pid in stopped:
        with suppress(ProcessLookupError):  # its nanny may have ended it
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def _no_collector():
    """Free nothing that refers to itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize(
    ("number", "every", "has_folder"),
    [(signal.SIGKILL, None, False), (signal.SIGKILL, 1, True), (signal.SIGSTOP, 1, False)],
)
def test_regressor_without_a_worker(client, monkeypatch, tmp_path, capsys, strike, number, every, has_folder):
    told = after_epoch(monkeypatch, 2, lambda: strike(number))
    folder = tmp_path if has_folder else None
    lazy = [table.persist(scheduler=client) for table in LAZY] if number == signal.SIGSTOP else LAZY
    model = DaskMatrixFactorizationRegressor(
        client=client, checkpoint_every=every, checkpoint_folder=folder, timeout=2.0, **PARAMETERS, verbose=1
    )
    found = model.fit(*lazy).to_local()
    assert len(told) == 5  # none is told of twice
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"Epoch {n}/5" for n in range(1, 6)]
    assert_same_regressor(found, MatrixFactorizationRegressor(**PARAMETERS).fit(X, y), X, y)
    assert list(tmp_path.iterdir()) == []
    del lazy
    wait_until_nothing_is_left(client)


def test_ranker_without_a_worker(client, monkeypatch, strike):
    after_epoch(monkeypatch, 2, lambda: strike(signal.SIGKILL))
    parameters = {**PARAMETERS, "alpha": 0.01, "damping": 2.0}
    model = DaskMatrixFactorizationRanker(client=client, checkpoint_every=1, **parameters).fit(*LAZY)
    expected = MatrixFactorizationRanker(**parameters).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    np.testing.assert_array_equal(model.objective_curve_, expected.objective_curve_)


def lose_at(monkeypatch, number):
    """Lose the workers once, in a step of this number, of which the results do not come any more."""
    gather, lost = Team._gather, []

    def gather_or_lose(self, futures):
        if not lost and any(f"-epoch-{number}-" in str(future.key) for future in futures):
            lost.append(number)
            self._leave()
            raise TeamLostError([])
        return gather(self, futures)

    monkeypatch.setattr(Team, "_gather", gather_or_lose)
    return lost


def stop_after(monkeypatch, number):
    """Let a callback ask to stop after an epoch, also of a fit that was begun again."""
    end_round = Callback.end_round

    def stop(self, *args):
        end_round(self, *args)
        return self._n_epochs >= number

    monkeypatch.setattr(Callback, "end_round", stop)
    monkeypatch.setattr(Callback, "may_stop", True)


def curve_of(model):
    return getattr(model, "loss_curve_", getattr(model, "objective_curve_", None))


@pytest.mark.parametrize("is_stopped", [False, True], ids=["by itself", "by a callback"])
@pytest.mark.parametrize(
    ("kind", "local", "parameters"),
    [
        (DaskMatrixFactorizationRegressor, MatrixFactorizationRegressor, {"max_iter": 4}),
        (DaskMatrixFactorizationRegressor, MatrixFactorizationRegressor, {"tol": 0.02, "max_iter": 30}),
        (DaskMatrixFactorizationRanker, MatrixFactorizationRanker, {"alpha": 0.01, "damping": 2.0, "max_iter": 4}),
        (DaskMatrixFactorizationRanker, MatrixFactorizationRanker, {"alpha": 0.01, "damping": 2.0, "tol": 3e-3}),
    ],
    ids=str,
)
def test_workers_lost_after_the_last_epoch(client_of_threads, monkeypatch, kind, local, parameters, is_stopped):
    """What was saved then is the end of the fit, and not the middle."""
    if is_stopped:
        stop_after(monkeypatch, 2)
    parameters = {"rank": 4, "random_state": 0, **parameters}
    expected = local(**parameters).fit(X, y)
    n_epochs = len(curve_of(expected))
    assert n_epochs == 2 if is_stopped else n_epochs > 2
    lost = lose_at(monkeypatch, n_epochs)
    found = kind(client=client_of_threads, checkpoint_every=1, **parameters).fit(*LAZY)
    assert lost
    np.testing.assert_array_equal(curve_of(found), curve_of(expected))
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def test_a_result_that_is_here_is_not_lost(client_of_threads, monkeypatch):
    """Steps that were begun too early have nothing to say."""
    parameters = {"rank": 4, "max_iter": 3, "random_state": 0}
    told, expected = [], MatrixFactorizationRegressor(**parameters).fit(X, y)
    monkeypatch.setattr("sklearn_mf.dask._recovery.logger.warning", lambda *args: told.append(args))
    lost = lose_at(monkeypatch, 4)
    found = DaskMatrixFactorizationRegressor(client=client_of_threads, **parameters).fit(*LAZY)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    assert (lost, told) == ([4], [])
