"""Replay ratings day by day with three models: one never learns, one learns each day, one is fitted again each day.

python benchmarks/replay.py --ratings ratings.csv   # a file with a column of times
python benchmarks/replay.py                         # on made ratings
"""

import argparse

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils import Bunch

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings, make_ratings
from sklearn_mf.model_selection import GlobalTimeSplit, prequential_predict

N_DAYS, DAYS_OF_A_USER = 150, 40


class StandsStill(RegressorMixin, BaseEstimator):
    """Learn in ``fit`` alone."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        self.X_, self.y_, self.model_ = X, y, clone(self.model).fit(X, y)
        return self

    def partial_fit(self, X, y):
        return self

    def predict(self, X):
        return self.model_.predict(X)


class FittedAnew(StandsStill):
    """Keep all ratings, and fit to all of them whenever some come."""

    def partial_fit(self, X, y):
        return self.fit(np.concatenate([self.X_, X]), np.concatenate([self.y_, y]))


def make(n_users=3000, n_items=800, n_ratings=200_000):
    """Make ratings of users who join on some day, and rate for some weeks."""
    X, y = make_ratings(n_users, n_items, n_ratings, rating_step=0.5, noise=0.6, random_state=0, return_X_y=True)
    rng = np.random.default_rng(0)
    joined = rng.uniform(-DAYS_OF_A_USER, N_DAYS, n_users)
    days = joined[X[:, 0]] + rng.exponential(DAYS_OF_A_USER, len(y))
    rows = np.flatnonzero((days >= 0) & (days < N_DAYS))
    return Bunch(X=X[rows], y=y[rows], days=days[rows].astype(int))


def load(path):
    ratings = load_ratings(path)
    if ratings.times is None:
        raise SystemExit(f"{path} has no times.")
    days = np.asarray(ratings.times, dtype=np.int64) // 86_400
    return Bunch(X=ratings.data, y=ratings.target, days=days - days.min())


def replay(data):
    """Fit to the first four fifths by time, then go on by day; give what was predicted, and the seconds of learning."""
    past, future = next(GlobalTimeSplit(test_size=0.2, times=data.days).split(data.X))
    model = MatrixFactorizationRegressor(random_state=0)
    ways = {"stands still": StandsStill(model), "learns each day": model, "fitted anew each day": FittedAnew(model)}
    results = {
        name: prequential_predict(
            way.fit(data.X[past], data.y[past]), data.X[future], data.y[future], batches=data.days[future]
        )
        for name, way in ways.items()
    }
    return data.y[future], data.days[future], results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", metavar="FILE", help="ratings with times; without it, ratings are made")
    arguments = parser.parse_args()
    data = load(arguments.ratings) if arguments.ratings else make()
    y, days, results = replay(data)
    n_days = len(np.unique(days))
    print(f"{len(data.y) - len(y)} ratings to begin with, {len(y)} more on {n_days} days")
    print("                        RMSE  learning, s  ms a day")
    for name, result in results.items():
        seconds = result.learn_seconds
        error = np.sqrt(np.mean((y - result.y_pred) ** 2))
        print(f"  {name:20}  {error:.4f}  {seconds.sum():11.3f}  {1e3 * np.median(seconds):8.1f}")


if __name__ == "__main__":
    main()
