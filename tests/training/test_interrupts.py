"""Check that Ctrl-C ends a fit within an epoch and leaves the estimator as it was."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers.short_fits import make_model


def test_an_interrupt_ends_a_fit_within_an_epoch(few_ratings, monkeypatch):
    """Ctrl-C while an epoch or a batch runs: no other begins, and the estimator is as it was."""
    from sklearn_mf._training import online
    from sklearn_mf._training.sgd import SGDSolver

    X, y = few_ratings
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what they run behind
    for method, of, name in (("fit", SGDSolver, "epoch"), ("partial_fit", online, "update")):
        model = make_model().fit(X, y)
        before, predictions, n_run = dict(vars(model)), model.predict(X), []
        run = getattr(of, name)

        def interrupted(*args, run=run, n_run=n_run):
            n_run.append(1)
            signal.raise_signal(signal.SIGINT)
            return run(*args)

        with monkeypatch.context() as patch:
            patch.setattr(of, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                getattr(model, method)(X, y)
        assert len(n_run) == 1
        assert vars(model) == before
        np.testing.assert_array_equal(model.predict(X), predictions)
    signal.signal(signal.SIGINT, handler)


@pytest.mark.slow
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
