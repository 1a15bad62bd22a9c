"""Check that a fit that diverges is taken back and reported, and never ends above the best constant."""

import dataclasses
import warnings

import numpy as np
import pytest
from helpers.descent import HYPER, ONE, Steps, set_up, train
from helpers.losses import LOSSES, best_constant_loss, own_loss
from helpers.noisy_fits import fit, rmse
from sklearn.exceptions import ConvergenceWarning
from sklearn_mf._kernel.sgd import SGDKernel

from sklearn_mf import MatrixFactorizationRegressor


def diverging_grid():
    """Adding many times the changes of all blocks to a shared row, instead of their mean, overshoots."""
    grid, parameters = set_up(n_fields=3, n_groups=9, hyper=dataclasses.replace(HYPER, learning_rate=3.0))
    return dataclasses.replace(grid, context_merge_weight=np.full_like(grid.context_merge_weight, 2000.0)), parameters


def test_divergence_is_taken_back_and_reported_once():
    grid, parameters = diverging_grid()
    hyper = dataclasses.replace(HYPER, learning_rate=3.0)
    callback = Steps()
    with pytest.warns(
        ConvergenceWarning,
        match=r"diverged in epoch \d+ at a step of .* run again with a step of .* Set learning_rate to .* or less\.",
    ) as warned:
        losses = train(grid, parameters, hyper, np.random.default_rng(1), ONE, 6, callback=callback)
    assert len(warned) == 1
    assert len(losses) == 6
    assert max(losses) <= 1.0
    assert parameters.are_finite([slice(None)])
    assert min(callback.steps) < 3.0 / 6, "the step was cut below what the schedule alone would give"


def test_an_epoch_that_starts_beyond_repair_is_pulled_toward_zero():
    grid, parameters = set_up()
    parameters.rows[:, : HYPER.rank] *= 1e6
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1"):
        losses = train(grid, parameters, HYPER, np.random.default_rng(1), ONE)
    assert max(losses) <= 1.0
    assert parameters.are_finite([slice(None)])


def test_a_loss_that_can_not_be_mended_ends_in_an_error():
    grid, parameters = set_up()
    grid.target[0] = np.nan
    with pytest.raises(ValueError, match="epoch 1 is inf"):
        train(grid, parameters, HYPER, np.random.default_rng(1), ONE)


def test_no_learning_rate_fails_on_real_ratings(real_ratings):
    """One real set here, four and all ranks in benchmarks/heat_maps.py."""
    X, y = real_ratings("ml-100k")
    held_out = np.arange(len(y)) % 5 == 0
    for learning_rate in (1e-4, 1e-2, 1.0, 10.0):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model = MatrixFactorizationRegressor(16, learning_rate=learning_rate, max_iter=10, random_state=0)
            model.fit(X[~held_out], y[~held_out])
        assert rmse(model, X[held_out], y[held_out]) < y[held_out].std()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("learning_rate", [1e-4, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("schedule", ["linear", "constant"])
@pytest.mark.parametrize("kind", ["noise", "heavy tails", "sparse", "three columns"])
def test_training_never_ends_above_the_best_constant(loss, learning_rate, schedule, kind):
    rng = np.random.default_rng(0)
    n = 600
    X = rng.integers([40, 30], size=(n, 2)) if kind != "sparse" else rng.integers(400, size=(n, 2))
    y = np.round(rng.exponential(3, n)) if kind != "heavy tails" else np.round(np.exp(rng.standard_t(3, n).clip(-9, 9)))
    if kind == "three columns":
        X = np.column_stack([X, rng.integers(4, size=n)])
    for implicit_features in (None, "both"):
        model = MatrixFactorizationRegressor(
            8, loss=loss, learning_rate=learning_rate, schedule=schedule, implicit_features=implicit_features,
            max_iter=5, clip=False, random_state=0,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            prediction = model.fit(X, y).predict(X)
        assert own_loss(loss, y, prediction) <= 1.005 * best_constant_loss(loss, y)


def test_a_fit_that_ends_above_the_best_constant_says_so():
    rng = np.random.default_rng(0)
    X, y = rng.integers(300, size=(60_000, 2)), rng.normal(size=60_000)
    with pytest.warns(ConvergenceWarning, match="ended with a loss above that of the best constant: learning_rate=10"):
        fit(X, y, learning_rate=10, max_iter=1)


def test_divergence_within_an_epoch_is_told_in_one_warning(noisy_ratings, monkeypatch):
    """Weights that no step bound is made for: the loss of the first block gives the epoch up, and the step is cut."""
    X, _, y, _ = noisy_ratings
    steps = []

    class OvershootingKernel(SGDKernel):
        """Fail at steps above 0.02, as if there were no bound."""

        def __init__(self, grid, parameters, *others):
            super().__init__(grid, parameters, *others)
            self.table = parameters.table

        def run(self, strata, step, limit, progress):
            steps.append(step)
            super().run(strata, step, limit, progress)
            if step > 0.02:
                self.losses[0] = limit * 2
                self.table[:] = np.nan

    monkeypatch.setattr("sklearn_mf._training.sgd.SGDKernel", OvershootingKernel)
    with pytest.warns(ConvergenceWarning) as caught:
        model = fit(X, y, learning_rate=0.1, schedule="constant", max_iter=4)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "epoch 1 at a step of 0.1." in message
    assert "run again with a step of 0.0125" in message
    assert "Set learning_rate to 0.0125 or less." in message
    assert steps == pytest.approx([0.1, 0.05, 0.025, 0.0125, 0.0125, 0.0125, 0.0125])
    assert model.n_iter_ == 4
    assert np.isfinite(model.predict(X)).all()
    assert caught[0].filename == fit.__code__.co_filename, "it points at the line that called fit"
