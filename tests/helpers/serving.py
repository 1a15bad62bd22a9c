"""A model that is read by threads while another one changes it, and answers that whole states give."""

import pickle
import sys
import threading
from contextlib import contextmanager

import numpy as np

from sklearn_mf import MatrixFactorizationRegressor

N_USERS, N_ITEMS = 40, 30


def ratings(seed=0, n=600, first_user=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([first_user + rng.integers(N_USERS, size=n), rng.integers(N_ITEMS, size=n)])
    return X, rng.integers(1, 6, size=n).astype(float)


def make_model(**parameters):
    model = MatrixFactorizationRegressor(**{"rank": 4, "max_iter": 3, "random_state": 0, **parameters})
    return model.fit(*ratings())


# What a model is asked for the user and item ids given; each gives a tuple of arrays.
READERS = {
    "predict": lambda model, users, items: (model.predict(np.column_stack([users, items])),),
    "explain": lambda model, users, items: tuple(model.explain(np.column_stack([users, items])).values()),
    "recommend": lambda model, users, items: model.recommend(users, 5),
    "recommend few of candidates": lambda model, users, items: model.recommend(users[:2], 3, candidates=items),
    "similar_items": lambda model, users, items: model.similar_items(items, 3),
    "similar_users": lambda model, users, items: model.similar_users(users, 3),
    "pickle": lambda model, users, items: pickle.loads(pickle.dumps(model)).recommend(users, 5),
}


def new_ratings(step):
    return ratings(seed=step, n=40, first_user=1000 * step)


def fold_in(model, step):
    model.fold_in(*new_ratings(step))


def partial_fit(model, step):
    model.partial_fit(*new_ratings(step))


def refit(model, step):
    """Other users, other items, another rank: nothing of the old model fits the new one."""
    X, y = ratings(seed=step, n=300 + 30 * step)
    model.set_params(rank=2 + step % 5).fit(X + np.array([0, step % 7]), y)


WRITERS = {"fold_in": fold_in, "partial_fit": partial_fit, "fit": refit}


@contextmanager
def switching_often(seconds=1e-6):
    """Let threads take turns as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def read_while_writing(read, write, n_readers=2, n_steps=12):
    """Answers seen by threads while a model is changed step by step, and those of the states before and after each."""
    model = make_model()
    # Users that come later, the first of each batch: their rows are just past the end of the arrays of before.
    new_users = [new_ratings(step)[0][:, 0].min() for step in range(1, n_steps)]
    users = np.append(np.arange(6), new_users)
    items = np.resize(np.arange(8, 14), len(users))
    states, seen, failures, done = [read(model, users, items)], [], [], threading.Event()

    def read_on():
        while not done.is_set():
            try:
                seen.append(read(model, users, items))
            except Exception as error:
                failures.append(error)
                return

    readers = [threading.Thread(target=read_on) for _ in range(n_readers)]
    with switching_often():
        for reader in readers:
            reader.start()
        for step in range(1, n_steps + 1):
            write(model, step)
            states.append(read(model, users, items))
        done.set()
        for reader in readers:
            reader.join()
    if failures:
        raise failures[0]
    return seen, states


def same(one, other):
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True))
