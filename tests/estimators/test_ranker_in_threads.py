"""Check that readers in threads see a ranker as it was before or after a change, never between."""

import threading

import numpy as np
import pytest
from helpers.preferences import model, pairs
from helpers.serving import same, switching_often

X, Y = pairs()
USERS, ITEMS = np.arange(6), np.arange(8, 14)
READERS = {
    "predict": lambda fitted: (fitted.predict(np.column_stack([USERS, ITEMS])),),
    "recommend": lambda fitted: fitted.recommend(USERS, 5),
    "recommend_users": lambda fitted: fitted.recommend_users(ITEMS, 5),
    "recommend_from": lambda fitted: fitted.recommend_from(np.column_stack([USERS + 900, ITEMS]), np.arange(6.0)),
    "similar_items": lambda fitted: fitted.similar_items(ITEMS, 3),
    "explain": lambda fitted: tuple(fitted.explain(np.column_stack([USERS, ITEMS])).values()),
}


def fold_in(fitted, step):
    new = X[(X[:, 0] >= 10) & (X[:, 0] < 13)] + np.array([100 * step, 0])
    fitted.fold_in(new, np.ones(len(new)))


def refit(fitted, step):
    fitted.set_params(rank=3 + step % 4).fit(X[: 500 + 20 * step], Y[: 500 + 20 * step])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("write", [fold_in, refit])
def test_readers_see_whole_states(reader, write):
    fitted, read, seen, failures, done = model(max_iter=2).fit(X, Y), READERS[reader], [], [], threading.Event()
    states = [read(fitted)]

    def read_on():
        while not done.is_set():
            try:
                seen.append(read(fitted))
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=read_on) for _ in range(2)]
    with switching_often():
        for thread in threads:
            thread.start()
        for step in range(1, 9):
            write(fitted, step)
            states.append(read(fitted))
        done.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert seen
    for answer in seen:
        assert any(same(answer, state) for state in states)
