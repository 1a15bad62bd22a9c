"""Check the steps of each schedule, and that tol ends it."""

import numpy as np
import pytest
from helpers.descent import HYPER, ONE, Steps, set_up, train
from helpers.noisy_fits import fit

from sklearn_mf._training.schedules import SCHEDULES


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [("linear", [1, 0.75, 0.5, 0.25]), ("constant", [1, 1, 1, 1]), ("invscaling", [t**-0.25 for t in (1, 2, 3, 4)])],
)
def test_schedule(schedule, steps):
    grid, parameters = set_up()
    watch = Steps()
    train(grid, parameters, HYPER, np.random.default_rng(1), ONE, 4, schedule, watch)
    np.testing.assert_allclose(watch.steps, 0.05 * np.array(steps))
    assert set(SCHEDULES) == {"linear", "constant", "invscaling"}


def test_a_schedule_runs_to_its_end(noisy_ratings):
    X, _, y, _ = noisy_ratings
    model = fit(X, y, max_iter=60)
    assert model.n_iter_ == len(model.loss_curve_) == 60
    assert model.validation_scores_ == []
    assert model.best_validation_score_ is None


@pytest.mark.parametrize("schedule", ["linear", "constant", "invscaling"])
def test_tol_ends_training_when_the_loss_stalls(noisy_ratings, schedule):
    X, _, y, _ = noisy_ratings
    loose = fit(X, y, tol=0.1, n_iter_no_change=2, max_iter=300, schedule=schedule)
    tight = fit(X, y, tol=0.01, n_iter_no_change=2, max_iter=300, schedule=schedule)
    assert loose.n_iter_ < tight.n_iter_ < 300
    assert len(tight.loss_curve_) == tight.n_iter_
    assert tight.validation_scores_ == []
    if schedule == "constant":
        assert min(tight.loss_curve_) == tight.loss_curve_[-1], "the best epoch is the last"
        assert tight.n_iter_ < fit(X, y, tol=0.01, n_iter_no_change=20, max_iter=300, schedule=schedule).n_iter_
