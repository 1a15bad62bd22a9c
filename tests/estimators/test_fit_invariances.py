"""Check that a fit depends on the set of ratings and on random_state, to the bit, and on nothing else."""

import warnings
from functools import partial
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._training.losses import LOSSES
from sklearn_mf._training.ratings import canonical_ratings

# A few epochs on noise.
pytestmark = pytest.mark.filterwarnings("ignore:Training ended with a loss above")
both_models = pytest.mark.parametrize("implicit_features", [None, "both"])
common = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def rated_rows(draw, max_weight=4):
    """X with small ids (so that pairs repeat) in two or three columns, y of few values, whole weights, a seed."""
    n = draw(st.integers(2, 200))
    n_columns = draw(st.integers(2, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    n_levels = draw(st.sampled_from([3, 8, 90]))
    rng = np.random.default_rng(seed)
    X = rng.integers(-n_levels, n_levels, size=(n, n_columns))
    y = rng.integers(1, 6, size=n).astype(float)
    w = rng.integers(0, max_weight + 1, size=n).astype(float)
    w[0] = 1.0
    return X, y, w, seed


def fit(X, y, w=None, **parameters):
    """Fit on a grid of five groups, which ratings as few as these would not get by themselves."""
    parameters = {"rank": 3, "max_iter": 3, "random_state": 7, "learning_rate": 0.1, **parameters}
    with mock.patch("sklearn_mf._training.fit.canonical_ratings", partial(canonical_ratings, n_groups=5)):
        return MatrixFactorizationRegressor(**parameters).fit(X, y, w)


def assert_same_bits(a, b):
    for x, y in zip([*a.factors_, *a.biases_], [*b.factors_, *b.biases_], strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.intercept_ == b.intercept_
    assert a.rating_range_ == b.rating_range_
    assert a.loss_curve_ == b.loss_curve_


@both_models
@common
@given(rated_rows())
def test_weights_are_repetition(implicit_features, rows):
    X, y, w, _ = rows
    weighted = fit(X, y, w, implicit_features=implicit_features)
    repeats = w.astype(int)
    repeated = fit(np.repeat(X, repeats, axis=0), np.repeat(y, repeats), implicit_features=implicit_features)
    assert_same_bits(weighted, repeated)
    assert [levels.tolist() for levels in weighted.categories_] == [levels.tolist() for levels in repeated.categories_]


@both_models
@common
@given(rated_rows(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_scale_of_weights_does_not_matter(implicit_features, rows, scale):
    X, y, w, _ = rows
    assert_same_bits(
        fit(X, y, w, implicit_features=implicit_features), fit(X, y, w * scale, implicit_features=implicit_features)
    )


@both_models
@common
@given(rated_rows())
def test_the_order_of_rows_does_not_matter(implicit_features, rows):
    X, y, w, seed = rows
    rng = np.random.default_rng(seed)
    w = w * rng.random(len(w))  # any weights: equal ones are added in sorted order
    w[0] = 1.0
    order = rng.permutation(len(y))
    assert_same_bits(
        fit(X, y, w, implicit_features=implicit_features),
        fit(X[order], y[order], w[order], implicit_features=implicit_features),
    )


@both_models
@common
@given(rated_rows(), st.sampled_from(["shift", "spread", "float", "text", "object"]))
def test_renaming_ids_in_order_changes_nothing(implicit_features, rows, how):
    X, y, w, _ = rows
    renamed = {
        "shift": lambda: X + 2**40,
        "spread": lambda: X.astype(np.int64) * 10**12,
        "float": lambda: X + 0.5,
        "text": lambda: [[f"{value + 1000:05d}" for value in row] for row in X],
        "object": lambda: X.astype(object),
    }[how]()
    assert_same_bits(
        fit(X, y, w, implicit_features=implicit_features), fit(renamed, y, w, implicit_features=implicit_features)
    )


@both_models
@common
@given(rated_rows(), st.sampled_from([2, 3, 8]))
def test_the_number_of_threads_changes_nothing(implicit_features, rows, n_jobs):
    X, y, w, _ = rows
    assert_same_bits(
        fit(X, y, w, implicit_features=implicit_features),
        fit(X, y, w, implicit_features=implicit_features, n_jobs=n_jobs),
    )


@pytest.mark.slow
@both_models
@common
@given(rated_rows(), st.booleans(), st.sampled_from(sorted(LOSSES)))
def test_early_stopping_keeps_the_promises(implicit_features, rows, refit, loss):
    X, y, w, seed = rows
    assume(len(np.unique(np.column_stack([X, y])[w > 0], axis=0)) > 1)
    parameters = {"implicit_features": implicit_features, "early_stopping": True, "refit": refit, "loss": loss}
    weighted = fit(X, y, w, **parameters)
    repeated = np.repeat(np.arange(len(y)), w.astype(int))
    order = np.random.default_rng(seed).permutation(repeated)
    for other in (fit(X[order], y[order], **parameters), fit(X, y, w, n_jobs=3, **parameters)):
        assert_same_bits(weighted, other)
        assert weighted.validation_scores_ == other.validation_scores_


@both_models
@common
@given(rated_rows(), st.sampled_from(sorted(LOSSES)))
def test_batches_keep_the_promises(implicit_features, rows, loss):
    X, y, w, seed = rows
    cut, rng = len(y) // 2, np.random.default_rng(seed)
    assume(all(len(np.unique(y[part][w[part] > 0])) > 1 for part in (slice(cut), slice(cut, None))))
    models = []
    for n_jobs in (None, 3):
        model = MatrixFactorizationRegressor(
            3, implicit_features=implicit_features, loss=loss, n_jobs=n_jobs, random_state=0
        )
        for start, stop in ((0, cut), (cut, len(y))):
            part = np.arange(start, stop)
            if n_jobs:
                part = rng.permutation(np.repeat(part, w[part].astype(int)))
            # Weights are relative to the mean of the first batch, and so are ones.
            unit = np.ones(len(part)) if n_jobs else w[part]
            model.partial_fit(X[part], y[part], unit)
        models.append(model)
    assert [levels.tolist() for levels in models[0].categories_] == [
        levels.tolist() for levels in models[1].categories_
    ]
    for a, b in zip([*models[0].factors_, *models[0].biases_], [*models[1].factors_, *models[1].biases_], strict=True):
        np.testing.assert_array_equal(a, b)


@both_models
@common
@given(
    rated_rows(),
    st.floats(1e-4, 1e4),
    st.sampled_from(["linear", "constant", "invscaling"]),
    st.booleans(),
    st.sampled_from(sorted(LOSSES)),
    st.booleans(),
)
def test_never_nan_and_never_out_of_range(implicit_features, rows, learning_rate, schedule, fit_bias, loss, positive):
    X, y, w, _ = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fit(
            X,
            y,
            w,
            learning_rate=learning_rate,
            schedule=schedule,
            fit_bias=fit_bias,
            implicit_features=implicit_features,
            loss=loss,
            positive=positive,
        )
    predictions = model.predict(X)
    assert ((predictions >= y[w > 0].min()) & (predictions <= y[w > 0].max())).all()


@common
@given(rated_rows())
def test_predictions_do_not_depend_on_the_batch(rows):
    X, y, w, _ = rows
    model = fit(X, y, w)
    np.testing.assert_array_equal(
        model.predict(X), np.concatenate([model.predict(X[i : i + 1]) for i in range(len(X))])
    )
