"""
Learn from a stream of ratings
==============================

Ratings arrive day by day. This example compares three models: one never learns the new
ratings, one learns them with ``partial_fit`` each day, and one is fitted again each
day.
"""

# %%
# Make ratings with times
# -----------------------
# Each user joins on some day and rates for some weeks. The first four fifths of the
# ratings by time are the past. The rest arrives day by day.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import GlobalTimeSplit, prequential_predict

X, y = make_ratings(
    3_000, 800, 200_000, rating_step=0.5, noise=0.6, random_state=0, return_X_y=True
)
rng = np.random.default_rng(0)
joined = rng.uniform(-40, 150, 3_000)
days = joined[X[:, 0]] + rng.exponential(40, len(y))
is_used = (days >= 0) & (days < 150)
X, y, days = X[is_used], y[is_used], days[is_used].astype(int)

past, future = next(GlobalTimeSplit(test_size=0.2, times=days).split(X))
print(f"{len(past)} ratings are the past, {len(future)} arrive day by day")

# %%
# Three ways to learn
# -------------------
# ``prequential_predict`` predicts the ratings of a day, and then calls ``partial_fit``
# with them. Two small classes change ``partial_fit``: in one class it does nothing, in
# the other it fits the model again.


class NeverLearns(RegressorMixin, BaseEstimator):
    """Ignore ratings that come after ``fit``."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        self.X_, self.y_, self.model_ = X, y, clone(self.model).fit(X, y)
        return self

    def partial_fit(self, X, y):
        return self

    def predict(self, X):
        return self.model_.predict(X)


class FitsAgain(NeverLearns):
    """Fit to all ratings so far whenever new ratings come."""

    def partial_fit(self, X, y):
        return self.fit(np.concatenate([self.X_, X]), np.concatenate([self.y_, y]))


model = MatrixFactorizationRegressor(random_state=0)
ways = {
    "never learns": NeverLearns(model),
    "learns each day": model,
    "new fit each day": FitsAgain(model),
}
replays = {}
for name, way in ways.items():
    way.fit(X[past], y[past])
    replays[name] = prequential_predict(way, X[future], y[future], batches=days[future])

# %%
# Compare errors and times
# ------------------------
# ``partial_fit`` is as good as a new fit, and takes far less time.

errors = {name: y[future] - replay.y_pred for name, replay in replays.items()}
for name, replay in replays.items():
    rmse = np.sqrt(np.mean(errors[name] ** 2))
    seconds = replay.learn_seconds.sum()
    print(f"{name:16}  RMSE {rmse:.4f}  {seconds:6.2f} s of learning")

# %%
# The picture has the RMSE of the last seven days. The bands are 95 % intervals.


def running_rmse(errors, day):
    """RMSE of the seven days up to a day, and half of its 95 % interval."""
    squares = errors[(days[future] > day - 7) & (days[future] <= day)] ** 2
    rmse = np.sqrt(squares.mean())
    return rmse, 1.96 * squares.std() / np.sqrt(len(squares)) / (2 * rmse)


axes = plt.subplots(layout="constrained")[1]
at = np.unique(days[future])[6:]
for (name, error), style in zip(errors.items(), ["s:", "o-", "^--"], strict=True):
    rmse, half = np.array([running_rmse(error, day) for day in at]).T
    axes.plot(at, rmse, style, markevery=3, label=name)
    axes.fill_between(at, rmse - half, rmse + half, alpha=0.2)
axes.set(xlabel="day", ylabel="RMSE of the last 7 days", ylim=(0.65, 0.9))
axes.legend(loc="upper left")
plt.show()
