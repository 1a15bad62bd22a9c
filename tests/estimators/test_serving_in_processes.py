"""Check that a process may fork at any moment, whatever its threads are doing."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from helpers.serving import READERS, fold_in, make_model, same
from threadpoolctl import threadpool_info

from sklearn_mf._utils.threads import one_blas_thread

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this system")
# Python 3.12 warns of forks where there are threads; that is what is tested.
ignore_warning_of_forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
SECONDS = 60  # for a child that takes a fraction of one; a child that hangs is killed then


def run_in_child(function):
    """Fork; return whether ``function`` returned True in the child, or "hangs"."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(SECONDS)
            os._exit(0 if function() else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(pid, 0)
    return "hangs" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status) == 0


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@ignore_warning_of_forks
@pytest.mark.parametrize("load", ["recommend", "similar_items", "predict", "fold_in"])
def test_a_child_answers_while_the_parent_is_busy(load):
    model, other = make_model(), make_model()
    users, items = np.arange(20), np.arange(8, 28)
    expected = {name: read(model, users, items) for name, read in READERS.items()}
    n_before, done, steps = blas_threads(), threading.Event(), iter(range(1, 10**9))

    def work():
        while not done.is_set():
            if load == "fold_in":
                fold_in(other, next(steps))
            else:
                READERS[load](model, users, items)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(12):
            time.sleep(0.002)
            answers = run_in_child(
                lambda: (
                    all(same(read(model, users, items), expected[name]) for name, read in READERS.items())
                    and blas_threads() == n_before
                )
            )
            assert answers is True
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert blas_threads() == n_before


@ignore_warning_of_forks
def test_a_child_of_a_limited_parent_is_not_limited():
    """Others are inside in the parent; in the child nobody is."""
    n_before = blas_threads()
    entered, leave = threading.Event(), threading.Event()

    def stay_inside():
        with one_blas_thread():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=stay_inside, daemon=True)
    thread.start()
    entered.wait()
    assert set(blas_threads()) == {1}
    assert run_in_child(lambda: blas_threads() == n_before) is True
    leave.set()
    thread.join()
    assert blas_threads() == n_before


@ignore_warning_of_forks
def test_a_fork_from_within_keeps_its_own_limit():
    n_before = blas_threads()

    def leave_in_child():
        inside = set(blas_threads()) == {1}
        return inside

    with one_blas_thread():
        assert run_in_child(leave_in_child) is True
    assert blas_threads() == n_before


def test_two_at_once_give_the_limit_back():
    """The second leaves after the first: both orders, and one within the other."""
    n_before = blas_threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(blas_threads()) == {1}
    second.__exit__(None, None, None)
    assert blas_threads() == n_before


def test_overlapping_fold_ins_give_the_limit_back():
    n_before = blas_threads()
    models = [make_model() for _ in range(3)]

    def grow(model):
        for step in range(1, 20):
            fold_in(model, step)

    threads = [threading.Thread(target=grow, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blas_threads() == n_before


@pytest.mark.skipif(sys.platform == "darwin", reason="forks are not safe with its libraries")
@ignore_warning_of_forks
@pytest.mark.slow
def test_a_pool_of_forked_processes():
    import multiprocessing

    model = make_model()
    users, items = np.arange(20), np.arange(8, 28)
    expected = model.recommend(users, 5)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for items, found in pool.starmap(model.recommend, [(users, 5)] * 8):
            np.testing.assert_array_equal(items, expected[0])
            np.testing.assert_array_equal(found, expected[1])
