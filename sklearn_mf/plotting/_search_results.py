"""Read the candidates of a search with their scores, and choose the parameters to draw."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

_USUAL_AXES = {"x": "learning_rate", "y": "rank"}  # drawn if they are among the parameters that varied


@dataclass(frozen=True)
class Candidates:
    """Hold the candidates of a search and one score of each."""

    params: list[dict[str, Any]]
    parameters: list[str]  # names of all that was searched
    scores: np.ndarray  # (n_candidates,) with the sign changed for errors; NaN where a fit failed
    spread: np.ndarray | None  # (n_candidates,) standard deviation over folds; None without any
    resources: np.ndarray  # (n_candidates,) 0 except after successive halving
    score_name: str
    greater_is_better: bool

    @property
    def varied(self) -> list[str]:
        """Names of the parameters that have several values."""
        values_of = {key: _to_plain([candidate.get(key) for candidate in self.params]) for key in self.parameters}
        return [key for key, values in values_of.items() if not all(_are_same(values[0], value) for value in values)]

    def find_rows(self, keys: list[str]) -> np.ndarray:
        """Find the candidates that have a score and a value of each of these parameters."""
        has_values = [all(key in candidate for key in keys) for candidate in self.params]
        return np.flatnonzero(np.isfinite(self.scores) & has_values)

    def find_best_of_cells(self, rows: np.ndarray, cells: np.ndarray, n_cells: int) -> tuple[np.ndarray, int]:
        """Find the best candidate of each cell, or -1 if it has none. Return them and the best cell.

        In each cell, only candidates with the largest resources count. The best cell is one with the largest resources
        of all.
        """
        goodness = self.scores[rows] if self.greater_is_better else -self.scores[rows]
        order = np.lexsort([goodness, self.resources[rows]])
        best = np.full(n_cells, -1)
        best[cells[order]] = rows[order]  # the last one stays
        return best, int(cells[order[-1]])


def read_candidates(search: Any, scores: str | None, negate_score: bool | None) -> Candidates:
    """Read the candidates of a fitted search and one column of scores."""
    results = search.cv_results_
    column, values = _find_scores(scores, getattr(search, "refit", None), results)
    is_score = re.fullmatch(r"(mean|split\d+)_(test|train)_(.+)", column)
    metric = _metric_name(search, is_score[3]) if is_score else column
    if negate_score is None:
        negate_score = is_score is not None and metric.startswith("neg_")
    spread = results.get(f"std_{column.removeprefix('mean_')}") if column.startswith("mean_") else None
    has_spread = spread is not None and np.any(np.asarray(spread) > 0)  # there is none over a single fold
    return Candidates(
        params=results["params"],
        parameters=[key.removeprefix("param_") for key in results if key.startswith("param_")],
        scores=-values if negate_score else values,
        spread=np.asarray(spread, dtype=np.float64) if has_spread else None,
        resources=np.asarray(results.get("n_resources", np.zeros(len(values)))),
        score_name=metric.removeprefix("neg_").replace("_", " "),
        greater_is_better=is_score is not None and not negate_score,
    )


def choose_axes(candidates: Candidates, x: str | None, y: str | None, kind: str) -> list[str]:
    """Choose the parameter of a line or of each axis: those that the caller gave, then those that varied."""
    names, parameters = {"x": x, "y": y}, candidates.parameters
    keys = {axis: _find_parameter(name, parameters, axis) for axis, name in names.items() if name is not None}
    if len(keys) == 2 and keys["x"] == keys["y"]:
        raise ValueError(f"x={x!r} and y={y!r} are the same parameter. These varied: {', '.join(parameters)}.")
    if kind == "line" and y is not None:
        raise ValueError(f'kind="line" has one parameter: leave out y, or give x={y!r} instead.')
    left = [key for key in candidates.varied if key not in keys.values()]
    n_axes = 1 if kind == "line" or (kind == "auto" and len(keys) + len(left) < 2) else 2
    missing = [axis for axis in ("x", "y")[:n_axes] if axis not in keys] if len(keys) < n_axes else []
    if len(missing) > len(left):
        searched = ", ".join(parameters) or "nothing"
        how_many = "One" if keys or left else "No"
        advice = f'kind="{kind}" needs two: give x and y, or kind="line"' if n_axes == 2 else "there is nothing to draw"
        raise ValueError(f"{how_many} parameter has several values in this search (of {searched}), and {advice}.")
    usual = [key for axis in missing for key in left if key.rpartition("__")[2] == _USUAL_AXES[axis]]
    if len(usual) != len(missing) or n_axes == 1:  # a line has no usual parameter
        if 0 < len(missing) < len(left):
            raise ValueError(
                f"{len(left)} parameters varied in this search: {', '.join(left)}. Choose which to draw, for example "
                f"{', '.join(f'{axis}={key!r}' for axis, key in zip(missing, left, strict=False))}. The "
                "picture shows the best score over the others."
            )
        usual = left[: len(missing)]
    keys |= dict(zip(missing, usual, strict=True))
    return [keys[axis] for axis in ("x", "y") if axis in keys]


def arrange(candidates: Candidates, keys: list[str], kind: str) -> dict[str, Any]:
    """Arrange the best candidates by one or two parameters, as arguments of the display."""
    rows = candidates.find_rows(keys)
    if not len(rows):
        raise ValueError(f"No candidate with a value of {' and '.join(keys)} has a score.")
    axes = [sort_values([candidates.params[row][key] for row in rows]) for key in reversed(keys)]  # y, x
    shape = tuple(len(values) for values, _ in axes)
    cells = np.ravel_multi_index([codes for _, codes in axes], shape)
    row_of_cell, best = candidates.find_best_of_cells(rows, cells, int(np.prod(shape)))
    tried = np.flatnonzero(row_of_cell >= 0)
    values = [values for values, _ in axes]
    is_sparse = all(map(are_numbers, values)) and len(tried) < len(row_of_cell) / 2
    if kind == "scatter" or (kind == "auto" and is_sparse):
        places = np.unravel_index(tried, shape)
        values = [[known[place] for place in of_axis] for known, of_axis in zip(values, places, strict=True)]
        row_of_cell, best, shape = row_of_cell[tried], int(np.searchsorted(tried, best)), (len(tried),)
    spread = candidates.spread if len(keys) == 1 else None
    return {
        "scores": np.where(row_of_cell >= 0, candidates.scores[row_of_cell], np.nan).reshape(shape),
        "x_values": values[-1],
        "y_values": values[0] if len(keys) == 2 else None,
        "best": np.unravel_index(best, shape),
        "spread": None if spread is None else spread[row_of_cell],
    }


def short_names(keys: list[str]) -> list[str]:
    """Leave out the names of pipeline steps if the rest is unique."""
    short = [key.rpartition("__")[2] for key in keys]
    return short if len(set(short)) == len(short) else keys


def are_numbers(values: list) -> bool:
    """Tell whether all values of a parameter are numbers; bools are not."""
    return all(isinstance(value, Real) and not isinstance(value, (bool, np.bool_)) for value in values)


def _find_parameter(name: str, parameters: list[str], argument: str) -> str:
    """Find the full name of a parameter, which may be given without the names of steps."""
    found = [key for key in parameters if key == name] or [key for key in parameters if key.endswith(f"__{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{argument}={name!r} is not unique. Give one of these names: {', '.join(found)}.")
    raise ValueError(f"{argument}={name!r} did not vary in the search. These varied: {', '.join(parameters)}.")


def _find_scores(name: str | None, refit: Any, results: dict[str, Any]) -> tuple[str, np.ndarray]:
    """Find a column of ``cv_results_``. Return its name and its numbers."""
    if name is None:
        of_refit = f"mean_test_{refit}"
        name = of_refit if of_refit in results else "mean_test_score"
    for key in (name, f"mean_test_{name}"):
        values = np.asarray(results.get(key))
        if values.dtype.kind in "iuf" and not key.startswith("param"):
            return key, values.astype(np.float64)
    means = [key for key in results if key.startswith("mean_test_")]
    raise ValueError(f"scores={name!r} is no column of numbers in cv_results_. Mean scores there: {', '.join(means)}.")


def _metric_name(search: Any, name: str) -> str:
    """Return the name of the metric: that of its scorer, if it is known."""
    scoring = getattr(search, "scoring", None)
    known = scoring if name == "score" else scoring.get(name) if isinstance(scoring, dict) else None
    return known if isinstance(known, str) else name


def sort_values(values: list) -> tuple[list, np.ndarray]:
    """Sort the distinct values, numbers last. Return them, and the position of each value among them."""
    values = _to_plain(values)
    distinct: list[Any] = []
    for value in values:
        if not any(_are_same(value, other) for other in distinct):
            distinct.append(value)
    numbers = sorted(value for value in distinct if isinstance(value, Real))
    distinct = [value for value in distinct if not isinstance(value, Real)] + numbers
    places = [next(i for i, other in enumerate(distinct) if _are_same(value, other)) for value in values]
    return distinct, np.array(places)


def _to_plain(values: list) -> list:
    """Turn numbers of NumPy into those of Python."""
    return [value.item() if isinstance(value, (np.number, np.bool_)) else value for value in values]


def _are_same(a: Any, b: Any) -> bool:
    """Tell whether two values of a parameter are the same; True is not 1."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    try:
        return bool(a == b)
    except (TypeError, ValueError):  # the values contain arrays
        return repr(a) == repr(b)
