"""How long a fit takes: schedules, tol, early stopping, the user's held-out ratings; divergence; positive factors."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_absolute_error_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.fixes import parse_version

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._training.sgd import Descent
from sklearn_mf.datasets import make_ratings

LOSSES = ["squared_error", "absolute_error", "huber", "quantile", "poisson"]


@pytest.fixture(scope="module")
def ratings():
    """Training and test rows of ratings that a fit of many epochs overfits."""
    X, y = make_ratings(400, 200, 16_000, noise=1.0, rank=4, random_state=0, return_X_y=True)
    test = np.arange(len(y)) % 5 == 0
    return X[~test], X[test], y[~test], y[test]


def fit(X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None, **parameters):
    defaults = {"implicit_features": None, "alpha": 0.01, "damping": 1.0, "learning_rate": 0.1, "random_state": 0}
    model = MatrixFactorizationRegressor(8, **{**defaults, **parameters})
    return model.fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)


def rmse(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


def same_model(a, b):
    return all(np.array_equal(x, y) for x, y in zip([*a.factors_, *a.biases_], [*b.factors_, *b.biases_], strict=True))


def test_a_schedule_runs_to_its_end(ratings):
    X, _, y, _ = ratings
    model = fit(X, y, max_iter=60)
    assert model.n_iter_ == len(model.loss_curve_) == 60
    assert model.validation_scores_ == []
    assert model.best_validation_score_ is None


@pytest.mark.parametrize("schedule", ["linear", "constant", "invscaling"])
def test_tol_ends_training_when_the_loss_stalls(ratings, schedule):
    X, _, y, _ = ratings
    loose = fit(X, y, tol=0.1, n_iter_no_change=2, max_iter=300, schedule=schedule)
    tight = fit(X, y, tol=0.01, n_iter_no_change=2, max_iter=300, schedule=schedule)
    assert loose.n_iter_ < tight.n_iter_ < 300
    assert len(tight.loss_curve_) == tight.n_iter_
    assert tight.validation_scores_ == []
    if schedule == "constant":
        assert min(tight.loss_curve_) == tight.loss_curve_[-1], "the best epoch is the last"
        assert tight.n_iter_ < fit(X, y, tol=0.01, n_iter_no_change=20, max_iter=300, schedule=schedule).n_iter_


@pytest.mark.parametrize("refit", [False, True])
def test_early_stopping_is_nearly_as_good_as_the_best_length(ratings, refit):
    X, X_test, y, y_test = ratings
    lengths = {n: rmse(fit(X, y, max_iter=n), X_test, y_test) for n in (3, 4, 5, 6, 8, 10, 14, 20, 40, 100, 200)}
    assert lengths[200] > 1.05 * min(lengths.values()), "there is something to stop"
    model = fit(X, y, early_stopping=True, refit=refit, max_iter=200)
    assert rmse(model, X_test, y_test) < min(lengths.values()) * (1.01 if refit else 1.03)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) < 100
    assert model.best_validation_score_ == max(model.validation_scores_) == model.validation_scores_[-1]


def test_a_refit_trains_on_all_ratings(ratings):
    X, X_test, y, y_test = ratings
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


def test_how_much_is_held_out(ratings):
    X, X_test, y, y_test = ratings
    small, large = (
        fit(X, y, early_stopping=True, refit=False, validation_fraction=fraction, max_iter=100)
        for fraction in (0.05, 0.6)
    )
    assert rmse(small, X_test, y_test) < 0.97 * rmse(large, X_test, y_test)


def test_patience(ratings):
    X, _, y, _ = ratings
    lines, epoch = [], Descent.epoch
    for n_iter_no_change in (1, 12):
        watched = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Descent, "epoch", lambda self, *a, watched=watched: watched.append(1) or epoch(self, *a))
            fit(X, y, early_stopping=True, refit=False, n_iter_no_change=n_iter_no_change, max_iter=1000)
        lines.append(len(watched))
    assert lines[0] < 0.5 * lines[1]


def test_the_step_falls_to_zero_whatever_the_score_does(ratings, capsys):
    X, _, y, _ = ratings
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
def test_the_users_own_held_out_ratings(ratings, loss, metric):
    X, X_test, y, y_test = ratings
    model = fit(X, y, None, X_test, y_test, loss=loss, early_stopping=True, max_iter=60, clip=False)
    assert model.best_validation_score_ == pytest.approx(metric(y_test, model.predict(X_test)), abs=1e-5)
    # They are not trained on, and nothing is held out of X.
    assert same_model(model, fit(X, y, None, X_test, y_test, loss=loss, early_stopping=True, max_iter=60, refit=False))
    with pytest.warns(UserWarning, match="In 2 of 3 rows of X_val the user or the item is not in X"):
        fit(X, y, None, [X[0], [12345, 1], [-7, -8]], [3, 3, 4], early_stopping=True, max_iter=3)
    strange = np.vstack([X_test, [[12345, 1], [-7, -8]]])
    with_strange = fit(X, y, None, strange, np.append(y_test, [3, 3]), loss=loss, early_stopping=True, max_iter=60)
    assert [len(levels) for levels in with_strange.categories_] == [len(levels) for levels in model.categories_]


def test_what_the_held_out_ratings_are_changes_the_fit(ratings):
    X, X_test, y, y_test = ratings
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
        ({"X_val": [[1, 2]]}, "X_val and y_val go together"),
        ({"y_val": [1]}, "X_val and y_val go together"),
        ({"sample_weight_val": [1]}, "X_val and y_val go together"),
        ({"X_val": [[1, 2]], "y_val": [1], "early_stopping": False}, "set early_stopping=True"),
        ({"X_val": [[1, 2, 3]], "y_val": [1]}, "X_val has 3 columns and X has 2"),
        ({"X_val": [[1, 2]], "y_val": [1, 2]}, "X_val and y_val have inconsistent numbers of samples"),
        ({"X_val": [[1, 2]], "y_val": [np.nan]}, "Input y_val contains NaN"),
        ({"X_val": [[1, 2]], "y_val": [1], "sample_weight_val": [-1]}, "sample_weight_val must be finite"),
        ({"X_val": [["a", "b"]], "y_val": [1]}, "In X_val: Ids in column 0 of X are text .* fitted on number ids"),
        ({"X_val": [[1, 2]], "y_val": [-1], "loss": "poisson"}, "y_val has 1 negative values"),
    ],
)
def test_bad_validation_data_is_refused(ratings, given, message):
    X, _, y, _ = ratings
    with pytest.raises(ValueError, match=message):
        fit(X, np.abs(y), **{"early_stopping": True, **given})


def test_early_stopping_needs_two_ratings():
    with pytest.raises(ValueError, match="give 2 or more"):
        fit([[1, 2], [1, 2]], [3, 3], early_stopping=True)
    assert np.isfinite(fit([[1, 2], [1, 3]], [3, 4], early_stopping=True).predict([[1, 2]])).all()


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="Pipeline has transform_input from 1.6 on, tested from 1.7 on",
)
def test_validation_data_in_a_pipeline(ratings):
    X, X_test, y, y_test = ratings
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


def best_constant_loss(loss, y, quantile=0.5):
    if loss == "poisson":
        mu = y.mean()
        return np.mean(np.where(y > 0, y * np.log(np.maximum(y, 1e-300) / mu), 0) - y + mu)
    width = 1.35 * y.std()

    def mean_loss(c):
        e = np.abs(y - c)
        if loss == "huber":
            return np.mean(np.where(e > width, width * (e - width / 2), e**2 / 2))
        return np.mean(e**2 / 2) if loss == "squared_error" else np.mean(e) * (0.5 if loss == "quantile" else 1)

    candidates = [y.mean(), np.median(y), *np.linspace(y.min(), y.max(), 400)]
    return min(map(mean_loss, candidates))


def own_loss(loss, y, prediction):
    if loss == "poisson":
        logs = y * np.log(np.maximum(y, 1e-300) / np.maximum(prediction, 1e-300))
        return np.mean(np.where(y > 0, logs, 0) - y + prediction)
    e, width = np.abs(y - prediction), 1.35 * y.std()
    if loss == "huber":
        return np.mean(np.where(e > width, width * (e - width / 2), e**2 / 2))
    return np.mean(e**2 / 2) if loss == "squared_error" else np.mean(e) * (0.5 if loss == "quantile" else 1)


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


def test_divergence_within_an_epoch_is_told_in_one_warning(ratings, monkeypatch):
    """Weights that no step bound is made for: the loss of the first block gives the epoch up, and the step is cut."""
    X, _, y, _ = ratings
    from sklearn_mf._training import sgd as _training

    run_strata, steps = _training.run_strata, []

    def overshoot(*arguments):
        """Steps above 0.02 fail as if the kernel had no bound."""
        step, limit, losses = arguments[17], arguments[24], arguments[25]
        steps.append(step)
        run_strata(*arguments)
        if step > 0.02:
            losses[0] = limit * 2
            arguments[10][:] = np.nan

    monkeypatch.setattr(_training, "run_strata", overshoot)
    with pytest.warns(ConvergenceWarning) as caught:
        model = fit(X, y, learning_rate=0.1, schedule="constant", max_iter=4)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "epoch 1 at a step of 0.1;" in message
    assert "run again with a step of 0.0125" in message
    assert "learning_rate=0.0125" in message
    assert steps == pytest.approx([0.1, 0.05, 0.025, 0.0125, 0.0125, 0.0125, 0.0125])
    assert model.n_iter_ == 4
    assert np.isfinite(model.predict(X)).all()
    assert caught[0].filename == __file__, "it points at the line that called fit"


def test_an_epoch_is_given_up_at_the_block_that_explodes():
    """The kernel leaves the blocks after it alone."""
    from test_training import set_up

    from sklearn_mf._kernel import kernels as _kernels

    visited = {}
    for limit in (np.inf, 0.0):
        grid, parameters = set_up(n_groups=4)
        before = parameters.rows.copy()
        _kernels.run_strata(
            grid.index, grid.target, grid.weight, grid.group, grid.block_start, grid.first_row, grid.touched,
            grid.touched_start, grid.share, grid.share, parameters.table, parameters.scalars, None,
            np.empty((0, 8), np.float32), np.empty((0, 2), np.float32), np.arange(4),
            np.zeros(_kernels.state_size(4), np.int64), 0.1, 0.04, 0.01, 1.0, 0, 0.0, False, limit, np.zeros(16),
        )  # fmt: skip
        visited[limit] = (parameters.rows != before).any(axis=1).sum()
    assert visited[np.inf] == len(before)
    assert 0 < visited[0.0] <= 0.3 * len(before)


@pytest.mark.parametrize("n_columns", [2, 3])
@pytest.mark.parametrize("implicit_features", [None, "both"])
def test_positive(ratings, n_columns, implicit_features):
    X, _, y, _ = ratings
    X = np.column_stack([X, X[:, 0] % 5])[:, :n_columns]
    free, positive = (fit(X, y, positive=positive, implicit_features=implicit_features) for positive in (False, True))
    assert min(rows.min() for rows in free.factors_) < 0
    assert min(rows.min() for rows in positive.factors_) == 0
    assert min(bias.min() for bias in positive.biases_) < 0, "biases are free"
    assert positive.loss_curve_[-1] < positive.loss_curve_[0]


@pytest.mark.parametrize("value", [3, 9, 22, 34, 1e5])
@pytest.mark.parametrize("loss", LOSSES)
def test_equal_ratings(loss, value):
    X = np.random.default_rng(0).integers(30, size=(600, 2))
    for rows in (slice(0, 600), slice(0, 1)):
        model = MatrixFactorizationRegressor(4, loss=loss, clip=False, random_state=0)
        prediction = model.fit(X[rows], np.full(600, value)[rows]).predict(X)
        np.testing.assert_allclose(prediction, value, rtol=1e-6)


def test_a_quantile_near_the_end():
    X = np.random.default_rng(0).integers(30, size=(600, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        prediction = fit(X, X[:, 0] % 5 + 1.0, loss="quantile", quantile=0.999999).predict(X)
    assert np.isfinite(prediction).all()


@pytest.mark.parametrize("mean", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("learning_rate", [1e-4, 0.15, 10.0])
def test_large_counts(mean, learning_rate):
    rng = np.random.default_rng(0)
    X, y = rng.integers(40, size=(3000, 2)), rng.poisson(mean, 3000).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if learning_rate == 10 else "error", ConvergenceWarning)
        model = MatrixFactorizationRegressor(4, loss="poisson", learning_rate=learning_rate, random_state=0).fit(X, y)
    assert own_loss("poisson", y, model.predict(X)) <= 1.005 * best_constant_loss("poisson", y)
    if learning_rate < 1:
        assert model.loss_curve_[-1] == pytest.approx(own_loss("poisson", y, model.predict(X)), rel=0.2)
    rate = np.exp(rng.normal(0, 0.3, 40))[X[:, 0]]
    y = rng.poisson(mean * rate)
    found = model.set_params(learning_rate=0.15, damping=0.0, alpha_bias=0.0).fit(X, y).predict(X)
    np.testing.assert_allclose(found, mean * rate, rtol=0.2)


def test_held_out_ratings_that_are_equal(ratings):
    """There is no R^2 to speak of, but there are errors to stop by."""
    X, X_test, y, y_test = ratings
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


def test_validation_data_in_small_integers_and_in_a_frame(ratings):
    X, X_test, y, y_test = ratings
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


def test_positive_is_nmf_where_all_is_known():
    rng = np.random.default_rng(0)
    M = rng.exponential(size=(60, 4)) @ rng.exponential(size=(4, 50)) + 0.05 * rng.exponential(size=(60, 50))
    X = np.argwhere(np.ones_like(M))
    nmf = NMF(4, init="nndsvda", max_iter=3000, tol=1e-8, random_state=0)
    best = np.linalg.norm(M - nmf.fit_transform(M) @ nmf.components_)
    errors = []
    for seed in range(3):
        model = MatrixFactorizationRegressor(
            4, positive=True, fit_bias=False, implicit_features=None, alpha=0.0, damping=0.0, max_iter=1000,
            learning_rate=0.1, clip=False, random_state=seed,
        ).fit(X, M.ravel())  # fmt: skip
        assert min(rows.min() for rows in model.factors_) >= 0
        errors.append(np.linalg.norm(M - model.user_factors_ @ model.item_factors_.T))
    assert min(errors) < 1.02 * best
