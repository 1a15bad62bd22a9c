"""
Predicted and true ratings
==========================

See where the errors of a model are:
:class:`~sklearn_mf.plotting.PredictedRatingsDisplay` shows at which ratings, and
:class:`~sklearn_mf.plotting.ErrorByActivityDisplay` for which users and items.
"""

# %%
# Fit a model
# -----------
# ``PerUserShuffleSplit`` holds out a fifth of the ratings of each user.

import matplotlib.pyplot as plt
from sklearn.metrics import root_mean_squared_error

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import PerUserShuffleSplit
from sklearn_mf.plotting import ErrorByActivityDisplay, PredictedRatingsDisplay

made = make_ratings(
    1_000, 500, 80_000, rank=4, rating_step=1, noise=0.4, random_state=0
)
X, y = made.data, made.target
split = PerUserShuffleSplit(1, test_size=0.2, random_state=0)
train, test = next(split.split(X))

model = MatrixFactorizationRegressor(rank=4, random_state=0).fit(X[train], y[train])
rmse = root_mean_squared_error(y[test], model.predict(X[test]))
print(f"RMSE of {len(test)} held-out ratings: {rmse:.3f}")

# %%
# Are predictions too high or too low?
# ------------------------------------
# Each box shows the predictions for one true rating. The box holds the middle half of
# them, and the whiskers 90 %. Low ratings are predicted too high and high ratings too
# low. This is not a fault of the model: predictions with the least squared error are
# closer to the mean than true ratings are.

PredictedRatingsDisplay.from_estimator(model, X[test], y[test])

# %%
# Do more ratings help?
# ---------------------
# Points are the RMSE, with 95 % intervals. The bars count the held-out ratings. Errors
# are larger for users with few training ratings. Here, all items have many ratings.

ErrorByActivityDisplay.from_estimator(model, X[test], y[test], X_train=X[train])
plt.show()
