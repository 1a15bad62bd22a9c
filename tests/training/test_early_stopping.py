"""Check when early stopping ends a fit, on ratings held out by the fit or given by the user."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers.noisy_fits import fit, rmse, same_model
from sklearn.metrics import d2_absolute_error_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.fixes import parse_version

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._training.sgd import SGDSolver


@pytest.mark.parametrize("refit", [False, True])
def test_early_stopping_is_nearly_as_good_as_the_best_length(noisy_ratings, refit):
    X, X_test, y, y_test = noisy_ratings
    lengths = {n: rmse(fit(X, y, max_iter=n), X_test, y_test) for n in (3, 4, 5, 6, 8, 10, 14, 20, 40, 100, 200)}
    assert lengths[200] > 1.04 * min(lengths.values()), "there is something to stop"
    models = [fit(X, y, early_stopping=True, refit=refit, max_iter=200, random_state=seed) for seed in range(5)]
    mean = np.mean([rmse(model, X_test, y_test) for model in models])
    assert mean < min(lengths.values()) * (1.015 if refit else 1.03)
    model = models[0]
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) < 100
    assert model.best_validation_score_ == max(model.validation_scores_) == model.validation_scores_[-1]


def test_a_refit_trains_on_all_ratings(noisy_ratings):
    X, X_test, y, y_test = noisy_ratings
    given = {"early_stopping": True, "validation_fraction": 0.4, "max_iter": 100}
    held, refitted = (fit(X, y, refit=refit, **given) for refit in (False, True))
    assert held.validation_scores_ == refitted.validation_scores_
    assert rmse(refitted, X_test, y_test) < rmse(held, X_test, y_test)
    # A user with one rating: without a refit nothing is learned of those that were held out.
    X, y = np.vstack([X, np.column_stack([np.arange(1000, 1100), X[:100, 1]])]), np.append(y, y[:100] + 1.0)
    unseen = [
        (fit(X, y, early_stopping=True, refit=refit, max_iter=20).user_biases_[-100:] == 0).mean()
        for refit in (False, True)
    ]
    assert unseen[0] == pytest.approx(0.1, abs=0.08)
    assert unseen[1] == 0


def test_how_much_is_held_out(noisy_ratings):
    X, X_test, y, y_test = noisy_ratings
    small, large = (
        fit(X, y, early_stopping=True, refit=False, validation_fraction=fraction, max_iter=100)
        for fraction in (0.05, 0.6)
    )
    assert rmse(small, X_test, y_test) < 0.97 * rmse(large, X_test, y_test)


def test_patience(noisy_ratings):
    X, _, y, _ = noisy_ratings
    lines, epoch = [], SGDSolver.epoch
    for n_iter_no_change in (1, 12):
        watched = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SGDSolver, "epoch", lambda self, *a, watched=watched: watched.append(1) or epoch(self, *a))
            fit(X, y, early_stopping=True, refit=False, n_iter_no_change=n_iter_no_change, max_iter=1000)
        lines.append(len(watched))
    assert lines[0] < 0.5 * lines[1]


def test_the_step_falls_to_zero_whatever_the_score_does(noisy_ratings, capsys):
    X, _, y, _ = noisy_ratings
    fit(X, y, early_stopping=True, refit=False, max_iter=8, n_iter_no_change=50, verbose=1)
    steps = [
        float(line.split("step ")[1].split()[0]) for line in capsys.readouterr().out.splitlines() if "step " in line
    ]
    np.testing.assert_allclose(steps, 0.1 * np.array([1, 1, 1, 1, 1, 0.75, 0.5, 0.25]), rtol=1e-3)
    fit(X, y, early_stopping=True, refit=False, max_iter=200, n_iter_no_change=2, verbose=1)
    steps = [
        float(line.split("step ")[1].split()[0]) for line in capsys.readouterr().out.splitlines() if "step " in line
    ]
    assert sorted(steps, reverse=True) == steps
    assert steps[-1] < 0.02 * steps[0]
    assert {round(np.log2(steps[0] / step)) for step in steps} == set(range(7)), "halved each time"


@pytest.mark.parametrize(("loss", "metric"), [("squared_error", r2_score), ("absolute_error", d2_absolute_error_score)])
def test_the_users_own_held_out_ratings(noisy_ratings, loss, metric):
    X, X_test, y, y_test = noisy_ratings
    model = fit(X, y, None, X_test, y_test, loss=loss, early_stopping=True, max_iter=60, clip=False)
    assert model.best_validation_score_ == pytest.approx(metric(y_test, model.predict(X_test)), abs=1e-5)
    # They are not trained on, and nothing is held out of X.
    assert same_model(model, fit(X, y, None, X_test, y_test, loss=loss, early_stopping=True, max_iter=60, refit=False))
    with pytest.warns(UserWarning, match="In 2 of 3 rows of X_val the user or the item is not in X"):
        fit(X, y, None, [X[0], [12345, 1], [-7, -8]], [3, 3, 4], early_stopping=True, max_iter=3)
    strange = np.vstack([X_test, [[12345, 1], [-7, -8]]])
    with_strange = fit(X, y, None, strange, np.append(y_test, [3, 3]), loss=loss, early_stopping=True, max_iter=60)
    assert [len(levels) for levels in with_strange.categories_] == [len(levels) for levels in model.categories_]


def test_what_the_held_out_ratings_are_changes_the_fit(noisy_ratings):
    X, X_test, y, y_test = noisy_ratings
    noise = np.random.default_rng(0).permutation(y_test)
    true, shuffled = (fit(X, y, None, X_test, given, early_stopping=True, max_iter=100) for given in (y_test, noise))
    assert true.n_iter_ > shuffled.n_iter_, "factors do not help to predict noise"
    weights = np.r_[np.ones(1000), np.zeros(len(y_test) - 1000)]
    weighted = fit(X, y, None, X_test, y_test, weights, early_stopping=True, max_iter=40)
    picked = fit(X, y, None, X_test[:1000], y_test[:1000], early_stopping=True, max_iter=40)
    np.testing.assert_allclose(weighted.validation_scores_, picked.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": [[1, 2]]}, "X_val and y_val must be given together"),
        ({"y_val": [1]}, "X_val and y_val must be given together"),
        ({"sample_weight_val": [1]}, "X_val and y_val must be given together"),
        ({"X_val": [[1, 2]], "y_val": [1], "early_stopping": False}, "set early_stopping=True"),
        ({"X_val": [[1, 2, 3]], "y_val": [1]}, "X_val has 3 columns, but X has 2"),
        ({"X_val": [[1, 2]], "y_val": [1, 2]}, "X_val and y_val have inconsistent numbers of samples"),
        ({"X_val": [[1, 2]], "y_val": [np.nan]}, "Input y_val contains NaN"),
        ({"X_val": [[1, 2]], "y_val": [1], "sample_weight_val": [-1]}, "sample_weight_val must be finite"),
        ({"X_val": [["a", "b"]], "y_val": [1]}, "In X_val: Ids in column 0 of X are text .* fitted on number ids"),
        ({"X_val": [[1, 2]], "y_val": [-1], "loss": "poisson"}, "y_val has 1 negative values"),
    ],
)
def test_bad_validation_data_is_refused(noisy_ratings, given, message):
    X, _, y, _ = noisy_ratings
    with pytest.raises(ValueError, match=message):
        fit(X, np.abs(y), **{"early_stopping": True, **given})


def test_early_stopping_needs_two_ratings():
    with pytest.raises(ValueError, match="Give 2 or more"):
        fit([[1, 2], [1, 2]], [3, 3], early_stopping=True)
    assert np.isfinite(fit([[1, 2], [1, 3]], [3, 4], early_stopping=True).predict([[1, 2]])).all()


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="Pipeline has transform_input from 1.6 on, tested from 1.7 on",
)
def test_validation_data_in_a_pipeline(noisy_ratings):
    X, X_test, y, y_test = noisy_ratings
    shift = FunctionTransformer(lambda X: X + 1000)
    model = MatrixFactorizationRegressor(2, early_stopping=True, max_iter=10, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(shift, model)
        pipeline.transform_input = ["X_val"]
        pipeline.fit(X, y, X_val=X_test, y_val=y_test)
    direct = MatrixFactorizationRegressor(2, early_stopping=True, max_iter=10, random_state=0)
    direct.fit(X + 1000, y, X_val=X_test + 1000, y_val=y_test)
    assert pipeline[-1].validation_scores_ == direct.validation_scores_


def test_held_out_ratings_that_are_equal(noisy_ratings):
    """There is no R^2 to speak of, but there are errors to stop by."""
    X, X_test, y, y_test = noisy_ratings
    model = fit(X, y, None, X_test, np.full(len(y_test), 3.0), early_stopping=True, max_iter=60, n_iter_no_change=3)
    assert set(model.validation_scores_) == {0.0}
    high = y_test > np.quantile(y_test, 0.9)
    given = {"early_stopping": True, "max_iter": 60}
    model = fit(X, y, None, X_test[high], np.full(high.sum(), y_test[high].mean()), **given)
    assert model.n_iter_ > 3
    counts = np.zeros(40)
    counts[:3] = 1
    X_counts = np.random.default_rng(0).integers(8, size=(40, 2))
    messages = []
    for seed in range(5):
        try:
            fit(X_counts, counts, loss="poisson", early_stopping=True, max_iter=5, random_state=seed)
        except ValueError as error:
            messages.append(str(error))
    assert all("what early_stopping leaves of it" in message for message in messages)


def test_validation_data_in_small_integers_and_in_a_frame(noisy_ratings):
    X, X_test, y, y_test = noisy_ratings
    small = np.clip(y_test.round() + 100, 0, 255)
    one, other = (
        fit(X, y + 100, None, X_test, given, loss="absolute_error", early_stopping=True, max_iter=10)
        for given in (small, small.astype(np.uint8))
    )
    assert one.validation_scores_ == other.validation_scores_
    frame, test = pd.DataFrame(X, columns=["u", "i"]), pd.DataFrame(X_test, columns=["u", "i"])
    fit(frame, y, None, test, y_test, early_stopping=True, max_iter=3)
    with pytest.raises(ValueError, match=r"In X_val: The feature names should match"):
        fit(frame, y, None, test[["i", "u"]], y_test, early_stopping=True, max_iter=3)
