"""What is told while a fit goes on: verbose, scikit-learn's callbacks, and Ctrl-C."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

try:
    import sklearn.callback as callback
except ImportError:
    callback = None
needs_callbacks = pytest.mark.skipif(callback is None, reason="scikit-learn has callbacks from 1.9 on")


@pytest.fixture(scope="module")
def ratings():
    return make_ratings(100, 80, 3000, random_state=0, return_X_y=True)


def make_model(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 4, "max_iter": 6, "random_state": 0, **parameters})


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
def test_verbose(ratings, capsys, parameters, found):
    make_model(**parameters).fit(*ratings)
    assert capsys.readouterr().out == ""
    make_model(verbose=1, **parameters).fit(*ratings)
    out = capsys.readouterr().out
    assert all(part in out for part in found)
    assert len(out.splitlines()) >= 6
    MatrixFactorizationRegressor(2, verbose=1).partial_fit(*ratings).partial_fit(*ratings)
    assert "Batch 2  training RMSE " in capsys.readouterr().out


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
def test_a_callback_is_told_of_each_epoch(ratings):
    X, y = ratings
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
def test_a_callback_stops_the_fit(ratings, parameters):
    recorder = Recorder(stop_after=2)
    model = make_model(**parameters).set_callbacks(recorder).fit(*ratings)
    assert recorder.told.count(("begin", "epoch", 1)) == 1
    assert ("begin", "epoch", 2) not in recorder.told
    assert len(model.loss_curve_) == model.n_iter_ <= 2
    if model.validation_scores_:
        assert model.validation_scores_[-1] == model.best_validation_score_


@needs_callbacks
def test_a_callback_is_torn_down_when_a_fit_fails(ratings):
    X, y = ratings
    recorder = Recorder()
    model = make_model().fit(X, y)
    before = dict(vars(model))
    model.set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.full(len(y), np.nan))
    assert recorder.told == ["setup", "teardown"]
    assert {name: value for name, value in vars(model).items() if name != "_skl_callbacks"} == before


@needs_callbacks
def test_scoring_monitor(ratings):
    X, y = ratings
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
def test_progress_bar(ratings, capsys, parameters):
    pytest.importorskip("rich")
    make_model(**parameters).set_callbacks(callback.ProgressBar()).fit(*ratings)
    out = capsys.readouterr().out
    assert "MatrixFactorizationRegressor - fit" in out
    assert "100%" in out


@needs_callbacks
def test_callbacks_in_a_search(ratings):
    recorder = Recorder()
    search = GridSearchCV(make_model().set_callbacks(recorder), {"rank": [1, 2]}, cv=2).fit(*ratings)
    assert search.best_params_["rank"] in (1, 2)
    assert not hasattr(clone(search.best_estimator_), "factors_")


def test_an_interrupt_ends_a_fit_within_an_epoch(ratings, monkeypatch):
    """Ctrl-C while an epoch runs: no other begins, and the estimator is as it was."""
    from sklearn_mf._training.sgd import Descent

    X, y = ratings
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what they run behind
    for method in ("fit", "partial_fit"):
        model = make_model().fit(X, y)
        before, predictions, n_run = dict(vars(model)), model.predict(X), []
        epoch = Descent.epoch

        def interrupted(self, factor, epoch=epoch, n_run=n_run):
            n_run.append(1)
            signal.raise_signal(signal.SIGINT)
            return epoch(self, factor)

        with monkeypatch.context() as patch:
            patch.setattr(Descent, "epoch", interrupted)
            with pytest.raises(KeyboardInterrupt):
                getattr(model, method)(X, y)
        assert len(n_run) == 1
        assert vars(model) == before
        np.testing.assert_array_equal(model.predict(X), predictions)
    signal.signal(signal.SIGINT, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="signals to other processes")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c(tmp_path, n_jobs):
    """A long fit in a process of its own."""
    code = f"""if True:
        import signal, threading
        import numpy as np
        from sklearn_mf import MatrixFactorizationRegressor
        signal.signal(signal.SIGINT, signal.default_int_handler)
        rng = np.random.default_rng(0)
        X, y = rng.integers(2000, size=(1_000_000, 2)), rng.normal(size=1_000_000)
        model = MatrixFactorizationRegressor(n_jobs={n_jobs}, max_iter=3, learning_rate=0.01).fit(X[:9], y[:9])
        n_threads = threading.active_count()
        model.set_params(max_iter=100_000, verbose=1)
        try:
            model.fit(X, y)
        except KeyboardInterrupt:
            print("interrupted", model.n_iter_, len(model.categories_[0]), threading.active_count() - n_threads)
    """
    run = subprocess.Popen([sys.executable, "-u", "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    killer = threading.Timer(60, run.kill)
    killer.start()
    for line in run.stdout:
        if line.startswith("Epoch 2/"):
            break
    run.send_signal(signal.SIGINT)
    start = time.perf_counter()
    rest = run.communicate()[0]
    killer.cancel()
    assert rest.splitlines()[-1] == "interrupted 3 9 0"
    assert time.perf_counter() - start < 30
