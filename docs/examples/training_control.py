"""What each control of training does to the loss curve: draws docs/training.svg.

python docs/examples/training_control.py                        # on ratings it makes itself; prints the figures
python docs/examples/training_control.py --draw training.svg    # and draws them; needs matplotlib
"""

import argparse
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

# Penalties as low as these overfit when training goes on for long, so that there is something to stop.
MODEL = {"rank": 16, "implicit_features": None, "alpha": 0.02, "damping": 1.0, "learning_rate": 0.1, "random_state": 0}
LENGTHS = [2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64]


def fitted(data, **parameters):
    """A model, and its test RMSE."""
    X_train, X_test, y_train, y_test = data
    model = MatrixFactorizationRegressor(**{**MODEL, **parameters}).fit(X_train, y_train)
    return model, root_mean_squared_error(y_test, model.predict(X_test))


def curves(data, name, values, **parameters):
    """Loss curves, a line for each value of a parameter: (label, epochs, losses)."""
    lines = []
    for value in values:
        model, rmse = fitted(data, **{**parameters, name: value})
        losses = np.array(model.loss_curve_)
        if name == "loss":  # each in a unit of its own
            losses = losses / losses[0]
        lines.append((f"{name}={value}: test RMSE {rmse:.3f}", np.arange(1, len(losses) + 1), losses))
    return lines


def lengths(data):
    """Test RMSE by max_iter, and where early stopping and tol end."""
    scores = [fitted(data, max_iter=n)[1] for n in LENGTHS]
    lines = [("max_iter", np.array(LENGTHS), np.array(scores))]
    for label, parameters in [
        ("early_stopping", {"early_stopping": True}),
        ("early_stopping, refit=False", {"early_stopping": True, "refit": False}),
        ("tol=0.02", {"tol": 0.02}),
    ]:
        model, rmse = fitted(data, max_iter=200, **parameters)
        lines.append((f"{label}: {model.n_iter_} epochs", np.array([model.n_iter_]), np.array([rmse])))
    return lines


def going_on(data):
    """Three fits of eight epochs, each going on from the one before, and one of 24."""
    X_train, _, y_train, _ = data
    model, losses = MatrixFactorizationRegressor(**{**MODEL, "warm_start": True, "max_iter": 8}), []
    for _ in range(3):
        losses += model.fit(X_train, y_train).loss_curve_
    whole, _ = fitted(data, max_iter=24)
    epochs = np.arange(1, 25)
    return [
        ("warm_start: three fits of 8", epochs, np.array(losses)),
        ("one fit of 24", epochs, np.array(whole.loss_curve_)),
    ]


def draw(panels, path):
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "training", "svg.fonttype": "none", "font.size": 8}):
        figure, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
        for axis, (title, y_label, lines) in zip(axes.flat, panels, strict=True):
            for label, x, y in lines:
                axis.plot(x, y, marker="o" if len(x) < 12 else None, markersize=4, label=label)
            axis.set(title=title, xlabel="epochs", ylabel=y_label)
            axis.grid(alpha=0.3)
            axis.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", metavar="FILE.svg")
    arguments = parser.parse_args()
    X, y = make_ratings(1500, 800, 60_000, rank=6, noise=0.8, rating_step=0.5, random_state=0, return_X_y=True)
    data = train_test_split(X, y, test_size=0.2, random_state=0)
    loss = "loss in training"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        panels = [
            ("How the step falls", loss, curves(data, "schedule", ["linear", "constant", "invscaling"], max_iter=30)),
            ("Its first value", loss, curves(data, "learning_rate", [0.01, 0.03, 0.1, 1.0, 10.0], max_iter=30)),
            ("How long", "test RMSE", lengths(data)),
            ("Strength a rating", loss, curves(data, "alpha", [0.0, 0.02, 0.08, 0.3], max_iter=30)),
            (
                "Other losses (part of the first epoch's)",
                "loss in training",
                curves(data, "loss", ["squared_error", "huber", "absolute_error", "poisson"], max_iter=30, alpha=0.08),
            ),
            ("Going on", loss, going_on(data)),
        ]
    for title, _, lines in panels:
        print(f"\n{title}")
        for label, x, y in lines:
            print(f"  {label:42} after {x[-1]:3} epochs {y[-1]:.4f}, lowest {y.min():.4f}")
    if arguments.draw:
        draw(panels, arguments.draw)


if __name__ == "__main__":
    main()
