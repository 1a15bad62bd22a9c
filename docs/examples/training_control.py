"""
Control the training
====================

See how the learning rate, the schedule, the penalty and the number of epochs change the
loss and the test error. The defaults are good for most data. Change these parameters if
you want to save time, or if a search says so.
"""

# %%
# Make ratings
# ------------
# The penalty ``alpha`` is low here, and there are no implicit features. So the model
# overfits if it is trained for long, and the effects of the parameters are easy to see.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

made = make_ratings(1_500, 800, 60_000, rank=6, noise=0.8, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    made.data, made.target, test_size=0.2, random_state=0
)
SETTINGS = {"rank": 16, "implicit_features": None, "alpha": 0.02, "damping": 1.0}
STYLES = ["o-", "s--", "^:", "D-."]


def fit(**parameters):
    """Fit a model; return it with its test RMSE."""
    model = MatrixFactorizationRegressor(**{**SETTINGS, **parameters}, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of very high rates
        model.fit(X_train, y_train)
    return model, root_mean_squared_error(y_test, model.predict(X_test))


def plot_losses(axes, name, values):
    """Draw the training loss by epoch, a line for each value of a parameter."""
    for value, style in zip(values, STYLES, strict=False):
        model, rmse = fit(**{name: value}, max_iter=30)
        epochs = np.arange(1, 31)
        axes.plot(epochs, model.loss_curve_, style, markevery=4, label=f"{value}")
        print(f"{name}={value}: test RMSE {rmse:.3f}")
    axes.set(title=name, ylim=(0, 0.75), xlabel="epoch", ylabel="training loss")
    axes.legend(loc="upper right", ncols=2)


# %%
# Learning rate, schedule and penalty
# -----------------------------------
# With a low ``learning_rate``, the training loss falls slowly. ``schedule`` says how
# the rate falls from epoch to epoch. ``alpha`` is the penalty. The training loss grows
# with it. The test error first falls, and grows if the penalty is too strong.

figure = plt.figure(figsize=(4.8, 9.2), layout="constrained")
panels = figure.subplots(3, 1)
plot_losses(panels[0], "learning_rate", [0.01, 0.1, 1.0, 10.0])
plot_losses(panels[1], "schedule", ["linear", "constant", "invscaling"])
plot_losses(panels[2], "alpha", [0.0, 0.02, 0.08, 0.3])

# %%
# Number of epochs
# ----------------
# The learning rate falls over ``max_iter`` epochs. So the test error rises only slowly
# with more epochs, even with this low penalty. Early stopping chooses the number of
# epochs with held-out ratings. ``tol`` looks at the training loss only.

# sphinx_gallery_thumbnail_number = 2
lengths = [2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64]
scores = [fit(max_iter=length)[1] for length in lengths]
stops = {
    "early_stopping=True": {"early_stopping": True},
    "tol=0.02": {"tol": 0.02},
}
axes = plt.subplots(layout="constrained")[1]
axes.plot(lengths, scores, "o-", label="max_iter")
for (label, parameters), style in zip(stops.items(), ["C1s", "C2^"], strict=True):
    model, rmse = fit(max_iter=200, **parameters)
    axes.plot(model.n_iter_, rmse, style, ms=12, mfc="none", mew=2, label=label)
    print(f"{label}: {model.n_iter_} epochs, test RMSE {rmse:.3f}")
axes.set_xscale("log", base=2)
axes.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
axes.set(xlabel="epochs", ylabel="test RMSE", ylim=(0.8, 1.1))
axes.legend(loc="upper left")
plt.show()

# %%
# Go on with training
# -------------------
# With ``warm_start=True``, each call of ``fit`` continues from the model before. A
# schedule begins anew in each call.

model = MatrixFactorizationRegressor(
    **SETTINGS, max_iter=8, warm_start=True, random_state=0
)
for _ in range(3):
    model.fit(X_train, y_train)
    print(f"loss after {model.n_iter_} more epochs: {model.loss_curve_[-1]:.3f}")

# %%
# Other losses
# ------------
# ``loss`` chooses what is minimized. The test error is the RMSE in all cases. The
# absolute error predicts the median instead of the mean, so its RMSE is higher.

for loss in ["squared_error", "huber", "absolute_error", "poisson"]:
    print(f"{loss:14} test RMSE {fit(loss=loss, alpha=0.08, max_iter=30)[1]:.3f}")
