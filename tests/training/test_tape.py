"""Check that what a tape holds makes room in time."""

import gc
from weakref import ref

import numpy as np
import pytest

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._training.run import TrainingRun
from sklearn_mf._training.tape import Tape
from sklearn_mf.datasets import make_ratings


@pytest.mark.parametrize(
    ("parameters", "n_runs"),
    [({"early_stopping": True, "max_iter": 4}, 3 + 2), ({"loss": "poisson", "max_iter": 3}, 5 + 1)],
    ids=["early stopping", "counts"],
)
def test_a_run_is_gone_when_the_next_one_begins(monkeypatch, parameters, n_runs):
    X, y = make_ratings(300, 200, 6000, rating_step=1, random_state=0, return_X_y=True)
    runs, n_alive, begin = [], [], TrainingRun.__init__

    def note(self, *args):
        n_alive.append(sum(solver() is not None for solver in runs))
        begin(self, *args)
        runs.append(ref(self.solver))

    monkeypatch.setattr(TrainingRun, "__init__", note)
    gc.disable()
    try:
        MatrixFactorizationRegressor(2, random_state=0, **parameters).fit(X, y)
    finally:
        gc.enable()
    assert n_alive == [0] * n_runs


def test_arrays_are_given_once():
    arrays = {"rows": np.zeros(3)}
    tape = Tape(np.zeros((2, 4)), arrays)
    assert tape.take_arrays() is arrays
    assert tape.take_arrays() is None
