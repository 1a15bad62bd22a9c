"""Check what verbose prints and what callbacks of scikit-learn are told."""

import numpy as np
import pandas as pd
import pytest
from helpers.short_fits import make_model
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_mf import MatrixFactorizationRegressor

try:
    import sklearn.callback as callback
except ImportError:
    callback = None
needs_callbacks = pytest.mark.skipif(callback is None, reason="scikit-learn has callbacks from 1.9 on")


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["Epoch 1/6  step 0.15  training RMSE "]),
        ({"loss": "absolute_error"}, ["Epoch 1/6  step 0.15  training loss "]),
        (
            {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 2},
            ["Epoch 1  step 0.15  training RMSE ", "  held-out R^2 ", "No better for 2 epochs", "Refit on all ratings"],
        ),
        ({"early_stopping": True, "loss": "huber"}, ["  held-out D^2 "]),
    ],
)
def test_verbose(few_ratings, capsys, parameters, found):
    make_model(**parameters).fit(*few_ratings)
    assert capsys.readouterr().out == ""
    make_model(verbose=1, **parameters).fit(*few_ratings)
    out = capsys.readouterr().out
    assert all(part in out for part in found)
    assert len(out.splitlines()) >= 6
    MatrixFactorizationRegressor(2, verbose=1).partial_fit(*few_ratings).partial_fit(*few_ratings)
    assert capsys.readouterr().out.count("ratings  training RMSE ") == 2


class Recorder:
    """A callback that notes what it is told, and asks to stop after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after, self.told = stop_after, []

    def setup(self, estimator, context):
        self.told.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.told.append(("end", context.task_name, context.task_id))
        self.last, self.metadata, self.n_rows = fitted_estimator, metadata, len(X)
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after

    def teardown(self, estimator, context):
        self.told.append("teardown")


@needs_callbacks
def test_a_callback_is_told_of_each_epoch(few_ratings):
    X, y = few_ratings
    recorder, plain = Recorder(), make_model().fit(X, y)
    model = make_model().set_callbacks(recorder).fit(X, y, np.ones(len(y)))
    epochs = [(what, "epoch", t) for t in range(6) for what in ("begin", "end")]
    assert recorder.told == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    assert recorder.n_rows == len(y)
    assert list(recorder.metadata) == ["sample_weight"]
    np.testing.assert_array_equal(recorder.last.predict(X), plain.predict(X))
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    assert not any(name.startswith("_callback") for name in vars(model))


@needs_callbacks
@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"tol": 1e-4}])
def test_a_callback_stops_the_fit(few_ratings, parameters):
    recorder = Recorder(stop_after=2)
    model = make_model(**parameters).set_callbacks(recorder).fit(*few_ratings)
    assert recorder.told.count(("begin", "epoch", 1)) == 1
    assert ("begin", "epoch", 2) not in recorder.told
    assert len(model.loss_curve_) == model.n_iter_ <= 2
    if model.validation_scores_:
        assert model.validation_scores_[-1] == model.best_validation_score_


@needs_callbacks
def test_a_callback_is_torn_down_when_a_fit_fails(few_ratings):
    X, y = few_ratings
    recorder = Recorder()
    model = make_model().fit(X, y)
    before = dict(vars(model))
    model.set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.full(len(y), np.nan))
    assert recorder.told == ["setup", "teardown"]
    assert {name: value for name, value in vars(model).items() if name != "_skl_callbacks"} == before


@needs_callbacks
def test_scoring_monitor(few_ratings):
    X, y = few_ratings
    monitor = callback.ScoringMonitor(scoring="neg_root_mean_squared_error")
    model = make_model().set_callbacks(monitor).fit(X, y)
    logs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    frame = pd.DataFrame(X, columns=["u", "i"])  # names reach what a callback is given
    make_model().set_callbacks(callback.ScoringMonitor(scoring="r2")).fit(frame, y)
    scores = [row["neg_root_mean_squared_error"] for row in logs]
    assert len(scores) == 6
    assert scores[-1] > scores[0]
    assert scores[-1] == pytest.approx(-np.sqrt(np.mean((model.predict(X) - y) ** 2)))


@needs_callbacks
@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True, "max_iter": 20}])
def test_progress_bar(few_ratings, capsys, parameters):
    pytest.importorskip("rich")
    make_model(**parameters).set_callbacks(callback.ProgressBar()).fit(*few_ratings)
    out = capsys.readouterr().out
    assert "MatrixFactorizationRegressor - fit" in out
    assert "100%" in out


@needs_callbacks
def test_callbacks_in_a_search(few_ratings):
    recorder = Recorder()
    search = GridSearchCV(make_model().set_callbacks(recorder), {"rank": [1, 2]}, cv=2).fit(*few_ratings)
    assert search.best_params_["rank"] in (1, 2)
    assert not hasattr(clone(search.best_estimator_), "factors_")
