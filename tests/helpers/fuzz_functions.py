"""Make calls of what judges estimators: metrics, splitters, displays."""

import functools
from itertools import islice
from unittest.mock import patch

import numpy as np
import pandas as pd
import polars as pl
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from helpers.fuzz_choices import Call
from helpers.fuzz_models import Fitted, regressor
from helpers.fuzz_tables import BAD_NUMBERS, LEVELS, Fields, listed, numbers, weights
from sklearn_mf import MatrixFactorizationRegressor, datasets, metrics, model_selection, plotting

NO_NUMBERS = [-1, 0, np.nan, np.inf, "text", None, [1], 1j, object(), True]
COLUMNS = [0, 1, "user", "c0", np.int64(0)]
BAD_COLUMNS = [5, -1, "nothing", None, 1.5, True, 2**70, [0], object(), b"user"]

OF_RELEVANT = ["precision_at_k", "recall_at_k", "map_at_k", "mrr_at_k", "hit_rate_at_k"]
GOOD_OF_METRICS = {"relevant": [3, 4.0, np.float32(3.5), -1, 1e300], "k": [1, 3, 10, None, np.int64(2), 2**70]}
BAD_OF_METRICS = {"relevant": ["text", None, np.nan, np.inf, True, [3], 1j, 10**400], "k": [x for x in NO_NUMBERS if x]}
OF_NDCG = {"shift": [0.0, 1, 5.5, 1e300], "gain": ["linear", "exponential"]}
BAD_OF_NDCG = {"shift": ["text", None, np.nan, np.inf, -np.inf, 1j, 10**400], "gain": ["text", None, 3, [], np.nan]}


def keywords_of_metric(choose):
    """A metric with groups, and keywords of it."""
    name = choose.pick([*OF_RELEVANT, "ndcg_at_k", "auc_by_group"])
    good, bad = dict(GOOD_OF_METRICS), {**BAD_OF_METRICS, **BAD_OF_NDCG}
    drawn = {"relevant": choose.argument(good.pop("relevant"), bad["relevant"])} if name != "ndcg_at_k" else {}
    if name == "ndcg_at_k":
        good = {"k": good["k"], **OF_NDCG}
    elif name == "auc_by_group":
        good = {}
    return name, {**drawn, **choose.keywords(good, bad, 0.4)}


def is_share(result):
    """A metric is a float from 0 to 1, or NaN where it is not defined."""
    assert isinstance(result, float)
    assert np.isnan(result) or -1e-12 <= result <= 1 + 1e-12, result


def metric(choose):
    name, kwargs = keywords_of_metric(choose)
    fields, n_rows = Fields(choose, 2), choose.integer(1, 20)
    kwargs |= {"groups": fields.list_of_ids(0, n_rows), "sample_weight": weights(choose, n_rows)}
    y = numbers(choose, n_rows, signed=name != "ndcg_at_k")
    return Call(name, getattr(metrics, name), (y, numbers(choose, n_rows)), kwargs, check=is_share)


def scorer(choose):
    """Make a scorer, and score a model by it."""
    name, kwargs = keywords_of_metric(choose)
    kwargs["user_column"] = choose.argument([0, 1], BAD_COLUMNS)
    fitted, n_rows = Fitted(choose, regressor, handle_unknown="ignore"), choose.integer(3, 12)
    function = choose.argument([getattr(metrics, name)], [metrics.novelty, len, None, "ndcg", functools.partial(max)])
    X, y, w = fitted.fields.table(n_rows), numbers(choose, n_rows, signed=False), weights(choose, n_rows)

    def score(X, y, w):
        return metrics.make_ranking_scorer(function, **kwargs)(fitted.model, X, y, sample_weight=w)

    return Call("make_ranking_scorer", score, (X, y, w), check=is_share)


def lists(choose, fields, n_users):
    """Lists of recommended items, some shorter than others."""
    if choose.is_bad():
        return choose.pick([None, 5, "text", [1, 2], [[1], 2], [[{}]], [[1, "a"]], np.ones(3), [[[1]]], [[np.inf]]])
    items = [list(choose.rng.permutation(len(fields.levels[1]))[: choose.integer(1, 4)]) for _ in range(n_users)]
    return [listed(fields.levels[1][places]) for places in items]


def as_frame(choose, fields, lists):
    """Lists of the first users as a data frame with a row for each item."""
    sizes = [len(row) for row in lists if isinstance(row, list)]
    columns = {
        "user": np.repeat(fields.levels[0][: len(sizes)], sizes),
        "item": [item for row in lists if isinstance(row, list) for item in row],
        "place": choose.argument([[place + 1 for size in sizes for place in range(size)]], [[1] * sum(sizes), 0, "x"]),
    }
    return choose.pick([pd.DataFrame, pl.DataFrame])(columns)


def of_lists(choose):
    """Call a metric of lists."""
    fields, n_rows, n_users = Fields(choose, 2), choose.integer(1, 20), choose.integer(1, 2)
    columns = choose.keywords(
        {"user_column": [0], "item_column": [1]}, dict.fromkeys(("user_column", "item_column"), BAD_COLUMNS)
    )
    recommended, name = lists(choose, fields, n_users), choose.pick(["catalog_coverage", "novelty", "ranking_of_lists"])
    if choose.chance(0.3) and isinstance(recommended, list):
        recommended = as_frame(choose, fields, recommended)
    if name == "catalog_coverage":
        catalog = choose.argument([fields.levels[1]], [[], None, ["x"], "text", [None], [1, 1], {1}])
        return Call(name, metrics.catalog_coverage, (recommended,), {"catalog": catalog}, check=is_share)
    X = fields.table(n_rows)
    if name == "novelty":
        return Call(name, metrics.novelty, (recommended,), {"X": X, **columns}, check=lambda result: result >= 0)
    users = choose.argument([fields.levels[0][:n_users]], [None, [], ["x"], "text", fields.levels[0][[0, 0]], [None]])
    args = recommended, users, X, numbers(choose, n_rows, signed=False)
    return Call(name, metrics.ranking_of_lists, args, columns)


def times(choose, n_rows):
    if choose.is_bad():
        return choose.pick([*BAD_NUMBERS, *TIMES])(choose.rng, n_rows + choose.integer(0, 1))
    return choose.pick(TIMES)(choose.rng, n_rows)


def times_of(kind, as_list):
    def make(rng, n):
        values = rng.permutation(LEVELS[kind](n))
        return listed(values) if as_list else values

    return make


OF_TIME = ["int64", "uint64", "float32", "days", "seconds", "nanoseconds", "datetime objects", "aware datetime objects"]
TIMES = [times_of(kind, as_list) for kind in [*OF_TIME, "timestamps"] for as_list in (False, True)]


def check_splits(n_rows):
    """Splits are of all rows, each in one part."""

    def check(result):
        for train, test in result:
            assert len(train)
            assert len(test)
            np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(n_rows))

    return check


SPLITTERS = {
    "PerUserShuffleSplit": ["n_splits", "test_size", "random_state", "user_column"],
    "WarmShuffleSplit": ["n_splits", "test_size", "random_state", "user_column", "item_column"],
    "LeaveLastOut": ["n", "times", "user_column"],
    "GlobalTimeSplit": ["at", "test_size", "times"],
}
GOOD_OF_SPLITTERS = {
    "n_splits": [1, 2, np.int64(2)], "n": [1, 2], "test_size": [0.2, 0.5, 1, 3, np.float32(0.3)],
    "random_state": [0, None, np.random.RandomState(1)], "user_column": [0], "item_column": [1], "at": [None],
}  # fmt: skip
BAD_OF_SPLITTERS = {
    **{name: [*NO_NUMBERS, 2**70, 1e-300, 10**400] for name in ("n_splits", "n", "test_size")},
    "random_state": [-1, "text", 2**70],
    **dict.fromkeys(["user_column", "item_column"], BAD_COLUMNS),
    "at": [0.5, "text", "2020", 3, 10**400, np.nan, np.inf, [1], 1j, object(), np.datetime64("NaT", "s"), "2020-03-01"],
}  # fmt: skip


def split(choose):
    name = choose.pick(list(SPLITTERS))
    fields, n_rows = Fields(choose), choose.integer(8, 40)
    good = {key: GOOD_OF_SPLITTERS[key] for key in SPLITTERS[name] if key != "times"}
    kwargs, given = choose.keywords(good, BAD_OF_SPLITTERS, 0.3), {}
    if "times" in SPLITTERS[name]:
        (kwargs if choose.chance(0.5) else given)["times"] = times(choose, n_rows)
    if choose.is_bad():
        given |= choose.pick([{"y": [1]}, {"groups": [1]}, {"y": 5}])
    X = fields.table(n_rows)

    def make_and_split(X):
        cv = getattr(model_selection, name)(**kwargs)
        assert repr(cv)
        return list(islice(cv.split(X, **given), 3))

    return Call(name, make_and_split, (X,), check=check_splits(n_rows))


def prequential(choose):
    """Predict and learn batch by batch."""
    fields, n_rows = Fields(choose), choose.integer(1, 20)
    unfitted = MatrixFactorizationRegressor(rank=1, max_iter=1, random_state=0)
    estimator = choose.argument([unfitted], [None, 5, "text", MatrixFactorizationRegressor, object()])
    X, y = fields.table(n_rows), choose.rng.integers(0, 20, n_rows)  # not far beyond those that it was fitted to
    y = numbers(choose, n_rows) if choose.is_meant_to_fail else y
    w = weights(choose, n_rows) if choose.chance(0.3) else None
    kwargs = {"batch_size": choose.argument([1, 3, 100, np.int64(5), 2**70], NO_NUMBERS)}
    if choose.chance(0.5):
        kwargs = {"batches": times(choose, n_rows)}
    if choose.is_bad():
        kwargs |= choose.pick([{"batch_size": 2}, {"return_std": True}, {"batches": [1]}])

    def check(result):
        assert result.y_pred.shape == result.batch_of_rows.shape == (n_rows,)
        assert result.batch_of_rows.max() == len(result.batches) - 1

    def fit_and_predict(X_known, y_known, X, y):
        if isinstance(estimator, MatrixFactorizationRegressor):
            fitted = clone(estimator).fit(X_known, y_known)
        else:
            fitted = estimator
        return model_selection.prequential_predict(fitted, X, y, sample_weight=w, **kwargs)

    args = fields.table(20), choose.rng.permutation(20), X, y
    return Call("prequential_predict", fit_and_predict, args, check=check)


@functools.lru_cache
def fitted_search():
    X, y = datasets.make_ratings(10, 8, 40, random_state=0, return_X_y=True)
    grid = {"rank": [0, 1], "alpha": [0.1, 0.2]}
    return GridSearchCV(MatrixFactorizationRegressor(max_iter=1, random_state=0), grid, cv=2).fit(X, y)


def without_drawing(make):
    """Call what makes a display, which is not drawn."""

    def call(*args, **kwargs):
        with patch.object(make.__self__, "plot", lambda display, **plot_kw: display):
            return make(*args, **kwargs)

    return call


GOOD_OF_INTERVALS = {"confidence": [0.9, 0.5, np.float32(0.95), 1e-300], "n_bins": [1, 5, np.int64(3), 2**70]}
BAD_OF_INTERVALS = {"confidence": [*NO_NUMBERS, 1, 90], "n_bins": NO_NUMBERS}


def deviations(choose, n):
    """Standard deviations above 0; or bad ones."""
    good = [
        lambda rng, n: rng.uniform(0.1, 2, n),
        lambda rng, n: rng.uniform(0.1, 2, n).tolist(),
        lambda rng, n: n * [1],
    ]
    bad = [*BAD_NUMBERS, lambda rng, n: np.zeros(n), lambda rng, n: -np.ones(n)]
    return choose.argument(good, bad)(choose.rng, n)


def display_of_numbers(choose):
    n = choose.integer(1, 12)
    counts = [choose.rng.integers(0, 9, n), choose.rng.integers(0, 9, n).tolist(), choose.rng.integers(0, 9, n) * 1.0]
    bad_counts = [
        -np.ones(n),
        np.full(n, 0.5),
        ["a"] * n,
        None,
        [],
        np.full(n, np.nan),
        np.ones(n + 1),
        [10**400] * n,
        5,
    ]
    name, kwargs = choose.pick([
        ("PredictedRatingsDisplay", {"y_true": numbers(choose, n), "y_pred": numbers(choose, n)}),
        ("ErrorByActivityDisplay", {
            "y_true": numbers(choose, n), "y_pred": numbers(choose, n),
            "item_counts": choose.argument(counts, bad_counts), "user_counts": choose.argument(counts, bad_counts),
        }),
        ("IntervalDisplay", {
            "y_true": numbers(choose, n), "y_pred": numbers(choose, n), "y_std": deviations(choose, n),
            **choose.keywords(GOOD_OF_INTERVALS, BAD_OF_INTERVALS, 0.4),
            **({"item_counts": choose.argument(counts, bad_counts)} if choose.chance(0.3) else {}),
        }),
        ("LossCurveDisplay", {"loss_curve": numbers(choose, n), **choose.keywords(
            {"validation_scores": [None, [], [0.5]]},
            {"validation_scores": ["text", 5, [np.nan], [1] * 99, ["a"], {}]}, 0.5
        )}),
    ])  # fmt: skip
    return Call(name, getattr(plotting, name), (), kwargs)


def item_map(choose):
    n = choose.integer(1, 6)
    no_array = ["text", 5, [[1], [1, 2]], [["a", "b"]], [[np.nan, 1]], {}, None, [10**400], object()]
    kwargs = {
        "coordinates": choose.argument([choose.rng.normal(size=(n, 2))], no_array),
        "explained_variance_ratio": choose.argument([[0.5, 0.2], np.ones(2)], no_array),
        **choose.keywords(
            {"biases": [None, np.ones(n)], "labeled": [()], "labels": [()], "asked": [True]},
            {
                "biases": no_array[:-1],
                "labeled": [[-1], [99], [0.5], ["a"], 5, [2**70]],
                "labels": ["ab", 5, [None], {1: 2}],
            },
        ),
    }
    return Call("ItemMapDisplay", plotting.ItemMapDisplay, (), kwargs)


def heat_map(choose):
    scores = choose.rng.normal(size=(2, 3))
    no_array = ["text", [[np.nan] * 3] * 2, [1], None, [[1], [1, 2]], 5, [["a"] * 3] * 2, {}, [[10**400] * 3] * 2]
    kwargs = {
        "scores": choose.argument([scores, scores.tolist()], no_array),
        "x_values": choose.argument([[1, 2, 3], ["a", "b", "c"], (1, 2, None)], [[1], None, 5, []]),
        "y_values": choose.argument([[1, 2]], [None, 5, [1], "abc"]),
        "x_name": "rank", "y_name": "alpha", "score_name": "RMSE",
        **choose.keywords(
            {"greater_is_better": [True, False], "best": [None, (0, 1)], "spread": [None]},
            {"best": [(9, 9), 5, "ab", (0,), (-1, 0), (0.5, 1), (None, 1), (2**70, 0)],
             "spread": [[1], "text", np.ones(3), [[1], [1, 2]]]},
        ),
    }  # fmt: skip
    return Call("SearchHeatMapDisplay", plotting.SearchHeatMapDisplay, (), kwargs)


def display_of_estimator(choose):
    """Make a display from a model, predictions or a search, without drawing."""
    more_errors = (AttributeError,)
    if choose.chance(0.2):
        good = {
            "x": [None, "rank"],
            "kind": ["auto", "heatmap"],
            "scores": [None, "mean_fit_time"],
            "negate_score": [None, True],
        }
        bad = {
            "x": ["nothing", 5, [], ""],
            "kind": ["pie", None, 3],
            "scores": ["nothing", 5, "params", "rank"],
            "negate_score": ["x"],
        }
        search = choose.argument([fitted_search()], [None, 5, MatrixFactorizationRegressor(), object()])
        function = without_drawing(plotting.SearchHeatMapDisplay.from_search)
        return Call(
            "SearchHeatMapDisplay.from_search",
            function,
            (search,),
            choose.keywords(good, bad, 0.3),
            more_errors=more_errors,
        )
    fitted, n = (
        Fitted(choose, regressor, rank=choose.argument([2, 3], [0, 1]), handle_unknown="ignore"),
        choose.integer(1, 9),
    )
    fields, model = fitted.fields, choose.argument([fitted.model], [None, 5, MatrixFactorizationRegressor, "text"])
    X, y = fields.table(n), numbers(choose, n, signed=False)
    ids = {"items": [None, fields.levels[1][:2]], "n_labels": [0, 3], "X_train": [None, fitted.X], "labels": [None]}
    bad_ids = {"items": ["text", 5, [None], [[1]], ["nothing"], {1}], "n_labels": [-1, 2.5, "a", None, True, 2**70],
               "X_train": [5, "text", [[1]], []], "labels": [5, ["a"], {}, "text"]}  # fmt: skip
    name, method, args, kwargs = choose.pick([
        ("LossCurveDisplay", "from_estimator", (model,), {}),
        ("ItemMapDisplay", "from_estimator", (model,), choose.keywords(ids, bad_ids, 0.4)),
        ("PredictedRatingsDisplay", "from_estimator", (model, X, y), {}),
        ("PredictedRatingsDisplay", "from_predictions", (y, numbers(choose, n)), {}),
        ("ErrorByActivityDisplay", "from_estimator", (model, X, y), {"X_train": fields.table(12)}),
        ("ErrorByActivityDisplay", "from_predictions", (y, numbers(choose, n)), {"X": X, "X_train": fields.table(12)}),
        ("IntervalDisplay", "from_estimator", (model, X, y), choose.keywords({"X_train": [fields.table(12)]}, {}, 0.5)),
        ("IntervalDisplay", "from_predictions", (y, numbers(choose, n), deviations(choose, n)), {
            "X": X, "X_train": fields.table(12), **choose.keywords(GOOD_OF_INTERVALS, BAD_OF_INTERVALS),
        }),
    ])  # fmt: skip
    function = without_drawing(getattr(getattr(plotting, name), method))
    return Call(f"{name}.{method}", function, args, kwargs, more_errors=more_errors)


MAKERS = [
    metric, metric, scorer, of_lists, of_lists, split, split, prequential, display_of_numbers, item_map, heat_map,
    display_of_estimator,
]  # fmt: skip
