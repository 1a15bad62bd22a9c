"""
Stop training early
===================

With ``early_stopping=True``, the model holds out a tenth of the ratings, scores them
after each epoch, and stops when the score no longer gets better.
:class:`~sklearn_mf.plotting.LossCurveDisplay` draws the scores.
"""

# %%
# Fit with a limit of 200 epochs
# ------------------------------
# ``refit=False`` keeps the model of the best epoch. By default, the model is fitted
# again on all ratings, with the best number of epochs.

import matplotlib.pyplot as plt
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.plotting import LossCurveDisplay

X, y = make_ratings(
    1_000, 500, 80_000, rank=4, rating_step=1, random_state=0, return_X_y=True
)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

settings = {"rank": 16, "max_iter": 200, "random_state": 0}
stopped = MatrixFactorizationRegressor(early_stopping=True, refit=False, **settings)
stopped.fit(X_train, y_train)
print(f"{len(stopped.loss_curve_)} epochs, the best is epoch {stopped.n_iter_}")

# %%
# Draw loss and score
# -------------------
# The training loss falls in each epoch. The validation score is R², and greater is
# better. The dot marks the best epoch.

LossCurveDisplay.from_estimator(stopped)
plt.show()

# %%
# Compare the test errors
# -----------------------
# The default is a fixed number of epochs, which takes the least time.

refitted = MatrixFactorizationRegressor(early_stopping=True, **settings)
models = {
    "20 epochs, the default": MatrixFactorizationRegressor(rank=16, random_state=0),
    "early stopping, no refit": stopped,
    "early stopping and refit": refitted,
}
for name, model in models.items():
    if model is not stopped:
        model.fit(X_train, y_train)
    rmse = root_mean_squared_error(y_test, model.predict(X_test))
    print(f"{name:25} test RMSE {rmse:.4f}")
