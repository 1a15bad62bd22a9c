"""Which rating to ask a new user for next: what is known least, against a random item and the most rated.

    python benchmarks/asking.py [--questions 10]

200 users (ml-100k: 100) are left out of the fit. Each is asked one item after another, and `partial_fit` learns the
answers of all after each round. "Least known" has the highest deviation of `predict(return_std="mean")`.

made      the answer to every item is known: questions are about the 200 items rated most, the error is that of the
          expected ratings of the others; three seeds
real      only answers that are in the data are known: questions are about half of the items that the user rated, the
          error is that of the other half; two seeds. Users of 60 ratings and more
"""

import argparse
import copy

import numpy as np
from _real import rating_sets, rmse

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

WAYS = ["at random", "most rated", "least known"]
N_USERS = {"ml-100k": 100}


def choose(way, model, user, left, counts, rng):
    """Choose one of the items that are left."""
    if way == "at random":
        return int(rng.integers(len(left)))
    if way == "most rated":
        return int(np.argmax(counts[left]))
    _, y_std = model.predict(np.column_stack([np.full(len(left), user), left]), return_std="mean")
    return int(np.argmax(y_std))


def ask(way, model, questions, answer, counts, n_questions, error):
    """Ask every user; give the error after each round. ``questions`` has the items of each user."""
    model, rng, errors = copy.deepcopy(model), np.random.default_rng(1), []
    left = {user: list(items) for user, items in questions.items()}
    for _ in range(n_questions):
        items = [left[user].pop(choose(way, model, user, left[user], counts, rng)) for user in left]
        pairs = np.column_stack([list(left), items])
        model.partial_fit(pairs, answer(pairs))
        errors.append(error(model))
    return errors


def made(seed):
    """Give the parts of a made problem."""
    ratings = make_ratings(2000, 400, 80_000, random_state=seed)
    X, y, rng = ratings.data, ratings.target, np.random.default_rng(seed)
    new = rng.choice(2000, 200, replace=False)
    old = ~np.isin(X[:, 0], new)
    expected = ratings.intercept + ratings.user_biases[:, None] + ratings.item_biases
    expected = expected + ratings.user_factors @ ratings.item_factors.T
    answers = np.clip(expected + rng.normal(0, 0.5, expected.shape), 1, 5)
    counts = np.bincount(X[old, 1], minlength=400)
    popular, others = np.split(np.argsort(-counts, kind="stable"), [200])
    test = np.array([(user, item) for user in new for item in others if counts[item]])
    true = np.clip(expected[test[:, 0], test[:, 1]], 1, 5)
    model = MatrixFactorizationRegressor(rank=16, random_state=0).fit(X[old], y[old])
    return (
        model,
        dict.fromkeys(new.tolist(), popular),
        lambda pairs: answers[pairs[:, 0], pairs[:, 1]],
        counts,
        lambda model: rmse(model.predict(test), true),
    )


def real(name, X, y, seed):
    """Give the parts of a problem of real ratings."""
    rng = np.random.default_rng(seed)
    users, n_ratings = np.unique(X[:, 0], return_counts=True)
    new = rng.choice(users[n_ratings >= 60], N_USERS.get(name, 200), replace=False)
    old = ~np.isin(X[:, 0], new)
    counts = np.bincount(X[old, 1], minlength=X[:, 1].max() + 1)
    questions, test = {}, []
    for user in new.tolist():
        rows = rng.permutation(np.flatnonzero((X[:, 0] == user) & (counts[X[:, 1]] > 0)))
        questions[user] = X[rows[: len(rows) // 2], 1]
        test.append(rows[len(rows) // 2 :])
    test, rating = np.concatenate(test), {(u, i): r for (u, i), r in zip(X.tolist(), y.tolist(), strict=True)}
    model = MatrixFactorizationRegressor(random_state=0).fit(X[old], y[old])
    return (
        model,
        questions,
        lambda pairs: [rating[pair] for pair in map(tuple, pairs.tolist())],
        counts,
        lambda model: rmse(model.predict(X[test]), y[test]),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=10)
    arguments = parser.parse_args()
    problems = {"made": [made(seed) for seed in range(3)]}
    for name, X, y, _, _ in rating_sets(["ml-100k", "ml-1m"]):
        problems[name] = [real(name, X, y, seed) for seed in range(2)]
    rounds = range(1, arguments.questions + 1)
    print(f"\n| | asked | {' | '.join(map(str, rounds))} |\n|---|---|" + "---|" * len(rounds), flush=True)
    for name, parts in problems.items():
        for way in WAYS:
            errors = np.mean([ask(way, *of[:4], arguments.questions, of[4]) for of in parts], axis=0)
            print(f"| {name} | {way} | {' | '.join(f'{error:.3f}' for error in errors)} |", flush=True)


if __name__ == "__main__":
    main()
