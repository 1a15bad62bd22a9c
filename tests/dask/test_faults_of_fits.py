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
from sklearn_mf.dask import DaskMatrixFactorizationRanker, DaskMatrixFactorizationRegressor

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
