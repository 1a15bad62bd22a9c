"""RMSE of settings on a part of the *training* rows, for choosing defaults without a look at the test rows.

    python benchmarks/choose_settings.py [grid] [others] [parts] [regularization] [variants] [best]

Seven sets: four real ones and three made ones. Of each set's training rows a tenth is held out (ml-100k: of nine tenths
of all rows). Settings are compared by the mean over the sets of log(RMSE / RMSE of the defaults), in percent.

    grid             all combinations of the penalties and the step: the ten best, and, for each set, what the other six
                     would have chosen for it
    others           one parameter changed at a time
    parts            penalties and steps for the model without implicit features and with those of one side
    regularization   other rules of regularization than alpha a rating and damping a level, each at its best strength
    variants         the defaults with another damping of factors, and with parts of the implicit features left out or
                     changed, in fits that are put together from the inner parts of training
    best             the setting that the page gives as the best, and its neighbors (real sets only)

The rules of regularization hold for users, items and their biases alike. The regression that predicts centers keeps the
usual strengths beside them. These rules and the variants are no settings of the public interface: _inner_fit.py fits
them.
"""

import argparse
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
from _inner_fit import InnerFit, OwnPairsCount, epochs_with_centers
from _real import BEST, generated_sets, real_sets, rmse, tenth

from sklearn_mf import MatrixFactorizationRegressor

USUAL_DAMPING = 4.0  # beside which the rules of regularization are tried
GRID = {
    "alpha": [0.06, 0.08, 0.1],
    "alpha_implicit": [20.0, 32.0, 50.0],
    "learning_rate": [0.1, 0.15, 0.22],
}
OTHERS = {
    "alpha": [0.04, 0.06, 0.1, 0.12],
    "damping": [0.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, (5.0, 7.0)],
    "alpha_implicit": [5.0, 10.0, 20.0, 50.0, 80.0],
    "implicit_features": [None, "user", "item"],
    "learning_rate": [0.03, 0.06, 0.1, 0.2, 0.3],
    "max_iter": [10, 15, 30, 40, 60],
    "rank": [0, 8, 16, 64, 128],
    "alpha_bias": [0.0, 0.03, 0.1],
    "schedule": ["constant", "invscaling"],
}
NEAR_BEST = {
    "rank": [64, 256],
    "max_iter": [40, 80],
    "learning_rate": [0.07, 0.15],
    "alpha": [0.09, 0.13],
    "damping": [4.0, (5.0, 7.0)],
    "alpha_implicit": [20.0, 45.0],
}
# For parts of the model, which want other penalties and steps: the grid of each.
PARTS = {
    None: {"alpha": [0.03, 0.04, 0.05], "learning_rate": [0.05, 0.08, 0.12, 0.15, 0.22]},
    "user": {"alpha": [0.04, 0.05, 0.06], "learning_rate": [0.08, 0.12, 0.15, 0.22]},
    "item": {"alpha": [0.05, 0.06, 0.07], "learning_rate": [0.12, 0.15, 0.22]},
}


def load(with_generated=True):
    """Load (name, X, y, rows to train on, rows held out) of each set."""
    sets = [(name, X, y, tenth(len(y))[0]) for name, X, y, _ in real_sets()]
    if with_generated:
        sets += [(name, X, y, tenth(len(y))[0]) for name, X, y in generated_sets()]
    parts = [tenth(len(rows), seed=1) for *_, rows in sets]
    return [(name, X, y, rows[a], rows[b]) for (name, X, y, rows), (a, b) in zip(sets, parts, strict=True)]


def scores(sets, make=MatrixFactorizationRegressor, **parameters):
    """Find the RMSE on the held-out part of each set, of models made by ``make``."""
    return np.array(
        [
            rmse(make(n_jobs=2, random_state=0, **parameters).fit(X[a], y[a]).predict(X[b]), y[b])
            for _, X, y, a, b in sets
        ]
    )


def header(sets):
    """Print the head of a table."""
    print(
        "\n| setting | " + " | ".join(name for name, *_ in sets) + " | mean log, % |\n|---|" + "---|" * (len(sets) + 1)
    )


def line(label, found, reference):
    """Print a line of a table."""
    cells = " | ".join(f"{score:.4f}" for score in found)
    print(f"| {label} | {cells} | {100 * np.log(found / reference).mean():+.2f} |", flush=True)


def label(changed):
    """Write what a setting changes."""
    return ", ".join(f"{name} {value}" for name, value in changed.items())


def grid(sets, reference):
    """Try all combinations; print the ten best, and the choice of six sets for the seventh."""
    settings = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]
    found = np.array([scores(sets, **setting) for setting in settings])
    logs = np.log(found / reference)
    header(sets)
    for best in np.argsort(logs.mean(axis=1))[:10]:
        line(label(settings[best]), found[best], reference)
    titles = ["left out", "chosen by the others", "RMSE with it", "with the defaults", "best of the grid"]
    print("\n| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for left_out, (name, *_) in enumerate(sets):
        chosen = np.delete(logs, left_out, axis=1).mean(axis=1).argmin()
        cells = found[chosen, left_out], reference[left_out], found[:, left_out].min()
        print(f"| {name} | {label(settings[chosen])} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")


def changes(sets, reference, start, values_of):
    """Print what each change of one parameter does to the setting ``start``."""
    header(sets)
    line("**defaults**" if not start else f"**{label(start)}**", scores(sets, **start), reference)
    for name, values in values_of.items():
        for value in values:
            line(f"{name} {value}", scores(sets, **{**start, name: value}), reference)


def parts(sets, reference):
    """Print the three best settings of each part of the model."""
    header(sets)
    for implicit_features, values_of in PARTS.items():
        settings = [dict(zip(values_of, values, strict=True)) for values in product(*values_of.values())]
        found = np.array([scores(sets, implicit_features=implicit_features, **setting) for setting in settings])
        for best in np.argsort(np.log(found).mean(axis=1))[:3]:
            line(f"implicit_features {implicit_features}, {label(settings[best])}", found[best], reference)


def with_strength(rule, alpha):
    """Make a function that lets the L2 strength a rating be rule(n, mean n, field), for users (0) and items (1).

    ``alpha`` is the part of it that each rating has; the kernel adds USUAL_DAMPING times what a row has beside it.
    """

    def change(grid, parameters):
        for field, rows in enumerate(grid.row_of):
            n = grid.row_weights[rows]
            parameters.per_rating[rows] = (rule(n, n.mean(), field) - alpha) / USUAL_DAMPING

    return change


def regularization(sets, reference):
    """Print each rule at the strength that is best for all sets together, with and without implicit features."""
    one = {"alpha": [0.03, 0.05, 0.08, 0.12], "damping": [2.5, 4.0, 6.5]}
    usual = {None: 0.05, "both": 0.08}
    per_side = {"alpha of users": [0.03, 0.05, 0.08, 0.12], "alpha of items": [0.05, 0.08, 0.12, 0.18]}
    damping_per_side = {"damping of users": [2.5, 4.0, 6.5], "damping of items": [2.5, 4.0, 6.5]}
    power = {"alpha": [0.02, 0.04, 0.08, 0.12, 0.18, 0.25, 0.4]}
    rules = {
        "alpha n + damping": (one, lambda n, mean, field, a, d: a + d / n),
        "alpha n": (power, lambda n, mean, field, a: a + 0 * n),
        "damping": ({"damping": [3.0, 5.0, 8.0, 12.0, 18.0, 27.0, 40.0]}, lambda n, mean, field, d: d / n),
        "alpha n (mean n / n)^0.25": (power, lambda n, mean, field, a: a * (mean / n) ** 0.25),
        "alpha n (mean n / n)^0.5": (power, lambda n, mean, field, a: a * (mean / n) ** 0.5),
        "alpha n (mean n / n)": (power, lambda n, mean, field, a: a * mean / n),
        "alpha n by side + 4": (per_side, lambda n, mean, field, a, b: (a, b)[field] + 4.0 / n),
        "usual alpha n + damping by side": (
            damping_per_side,
            lambda n, mean, field, a, b: usual[implicit_features] + (a, b)[field] / n,
        ),
    }
    for implicit_features, alpha in usual.items():
        print(f"\nimplicit_features={implicit_features!r}; mean log relative to the defaults")
        header(sets)
        line("**defaults**", reference, reference)
        start = {"alpha": alpha, "alpha_bias": alpha, "damping": USUAL_DAMPING, "implicit_features": implicit_features}
        for name, (strengths, rule) in rules.items():
            best = None
            for values in product(*strengths.values()):
                given = partial(lambda rule, values, n, mean, field: rule(n, mean, field, *values), rule, values)
                found = scores(sets, partial(InnerFit, change_parameters=with_strength(given, alpha)), **start)
                total = np.log(found / reference).mean()
                if best is None or total < best[0]:
                    best = total, values, found
            line(f"{name}: {label(dict(zip(strengths, best[1], strict=True)))}", best[2], reference)


def with_factor_damping(users, items):
    """Make a function that changes the damping of factors."""
    return lambda damping: replace(damping, factors=(users, items, damping.factors[2]))


FACTOR_DAMPINGS = [(3.5, 5.0), (4.0, 4.0), (5.0, 5.0), (7.0, 5.0), (5.0, 10.0), (7.0, 10.0)]
VARIANTS = {
    **{f"damping of factors {u}, {i}": {"change_damping": with_factor_damping(u, i)} for u, i in FACTOR_DAMPINGS},
    "a rating's own pair counts": {"solver": OwnPairsCount},
    "centers move to the end": {"epochs": epochs_with_centers(1.0)},
    "centers move in the first half": {"epochs": epochs_with_centers(0.5)},
    "centers move after each epoch": {"epochs": epochs_with_centers(0.75, every=1)},
}


def variants(sets, reference):
    """Print what each variant of implicit features does to the defaults."""
    header(sets)
    line("**defaults**", reference, reference)
    for name, parts in VARIANTS.items():
        line(name, scores(sets, partial(InnerFit, **parts)), reference)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = ("grid", "others", "parts", "regularization", "variants", "best")
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(tables)}; all unless given")
    chosen = parser.parse_args().tables or tables
    sets = load()
    reference = scores(sets)
    if "grid" in chosen:
        grid(sets, reference)
    if "others" in chosen:
        changes(sets, reference, {}, OTHERS)
    real = [a_set for a_set in sets if not a_set[0].startswith("made")]
    if "parts" in chosen:
        parts(real, reference[: len(real)])
    if "regularization" in chosen:
        regularization(sets, reference)
    if "variants" in chosen:
        variants(sets, reference)
    if "best" in chosen:
        changes(real, reference[: len(real)], BEST, NEAR_BEST)


if __name__ == "__main__":
    main()
