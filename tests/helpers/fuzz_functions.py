"""Make calls of what stands beside the estimators: metrics, splitters, data sets, conversions, displays."""

import functools
import gzip
import tempfile
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow
from pyarrow import parquet
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from helpers.fuzz_choices import Call
from helpers.fuzz_models import Fitted, regressor
from helpers.fuzz_tables import BAD_NUMBERS, LEVELS, Fields, listed, numbers, weights
from sklearn_mf import MatrixFactorizationRegressor, datasets, metrics, model_selection, plotting

FOLDER = Path(tempfile.gettempdir()) / "sklearn_mf_fuzz"
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


def of_lists(choose):
    """Call a metric of lists."""
    fields, n_rows, n_users = Fields(choose, 2), choose.integer(1, 20), choose.integer(1, 2)
    columns = choose.keywords(
        {"user_column": [0], "item_column": [1]}, dict.fromkeys(("user_column", "item_column"), BAD_COLUMNS)
    )
    recommended, name = lists(choose, fields, n_users), choose.pick(["catalog_coverage", "novelty", "ranking_of_lists"])
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
    "at": [0.5, "text", "2020", 3, 10**400, np.nan, np.inf, [1], 1j, object(), np.datetime64("NaT"), "2020-03-01"],
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


WORDS = ["ann", "bob", "Zoë", "x y", "a,b", 'say "no"', "0012", "7", "-3", "1.5", "", " ", "\t", "nan", "1e400", "日本"]
HEADERS = [
    ["userId", "movieId", "rating"],
    ["user", "item", "stars", "timestamp"],
    ["a", "b", "c"],
    ["rating", "user", "film"],
]


def text_of_ratings(choose):
    """A file of ratings, with quotes where they are needed; a few lines that are no good, in a call meant to fail."""
    sep, end = choose.pick([",", "\t", "::", ";", "|"]), choose.pick(["\n", "\r\n", "\r"])
    header = choose.pick(HEADERS) if choose.chance(0.5) else None
    n_columns = len(header) if header else choose.pick([3, 3, 4])
    lines = [sep.join(header)] if header else []
    for _ in range(choose.integer(1, 12)):
        values = [str(choose.rng.integers(1, 50)), choose.pick(WORDS[:10]), str(choose.rng.integers(1, 6))]
        values += [str(978300760 + choose.rng.integers(0, 10**8))] * (n_columns - 3)
        if header and header[0] == "rating":
            values = [values[2], *values[:2]]
        if choose.is_bad():
            values[choose.rng.integers(n_columns)] = choose.pick(WORDS)
        if choose.is_meant_to_fail and choose.chance(0.03):
            values = values[: choose.integer(0, n_columns)]
        quoted = [f'"{v.replace(chr(34), chr(34) * 2)}"' if sep in v or '"' in v else v for v in values]
        lines.append(sep.join(quoted))
    return end.join(lines) + choose.pick(["", end, end * 3])


def bytes_of_ratings(choose):
    """The bytes of such a file: encoded, compressed, or damaged."""
    data = text_of_ratings(choose).encode(choose.pick(["utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    if choose.chance(0.2):
        data = gzip.compress(data)
    if choose.is_bad():
        place = choose.rng.integers(max(len(data), 1))
        cut, noise = data[:place], choose.rng.bytes(choose.integer(1, 20))
        data = choose.pick([cut, cut + noise, cut + noise + data[place:], data.replace(b"\n", b""), b"", b'"' + data])
    return data


def load(choose):
    good = {
        "columns": [None, [0, 1, 2]], "time": [None], "sep": [None], "header": [None], "return_X_y": [True, False],
        "encoding": [None],
    }  # fmt: skip
    bad = {
        "columns": [[0, 1], "abc", 5, [0, 0, 1], [0, 1, 99], ["user", "item", "x"], [0, [1], 2]],
        "time": [99, "nothing", -1, 1.5, [0], True], "sep": ["", 5, "\n", '"', "x", b","],
        "header": [True, False, "no", 3],
        "encoding": ["nothing", 5, "utf-16", "ascii", "\0", "rot13", "base64"],
    }  # fmt: skip
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "ratings.csv"
    path.write_bytes(bytes_of_ratings(choose))
    path = choose.argument([path, str(path)], [FOLDER, FOLDER / "nothing", None, 5, "a\0b", b"x", "", [], "x" * 300])

    def check(result):
        X, y = result if isinstance(result, tuple) else (result.data, result.target)
        assert X.ndim == 2
        assert len(X) == len(y)
        assert np.isfinite(y).all()

    kwargs = choose.keywords(good, bad, 0.2)
    return Call("load_ratings", datasets.load_ratings, (path,), kwargs, check=check, more_errors=(OSError,))


def fit_file(choose):
    """Open a file of ratings, text or Parquet, and fit a model to it."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "opened.csv"
    path.write_bytes(bytes_of_ratings(choose))
    if choose.chance(0.5):
        path, n_rows = FOLDER / "opened.parquet", choose.integer(1, 30)
        table = {"user": choose.rng.integers(0, 5, n_rows), "item": list("abc" * 10)[:n_rows]}
        table["rating"] = choose.argument([choose.rng.random(n_rows)], [["x"] * n_rows, [None] * n_rows])
        parquet.write_table(pyarrow.table(table), path)
        path = choose.argument([path], [FOLDER / "nothing.parquet"])
    good = {"columns": [None, [0, 1, 2]], "weight": [None], "sep": [None], "header": [None], "encoding": [None]}
    bad = {
        "columns": [[0, 1], 5, [0, 0, 1], ["user", "item", "x"]], "weight": [99, "nothing", -1, 1.5, True, 0],
        "sep": ["", 5, "\n"], "header": [True, "no"], "encoding": ["nothing", 5, "utf-16"],
    }  # fmt: skip
    model = regressor(choose, loss="squared_error", early_stopping=False)

    def open_and_fit(path, **kwargs):
        return model.fit(datasets.open_ratings(path, **kwargs))

    kwargs = choose.keywords(good, bad, 0.2)
    return Call("open_ratings", open_and_fit, (path,), kwargs, more_errors=(OSError,))


def make_ratings(choose):
    good = {
        "n_users": [1, 5, 30], "n_items": [4, 20], "n_ratings": [4, 20], "rank": [0, 3], "noise": [0, 0.5, 1e300],
        "tail": [0, 0.8, 1e3], "rating_range": [(1, 5), (-1e30, 1e30), [0, 1]], "rating_step": [None, 0.5, 1],
        "random_state": [0, None], "return_X_y": [True, False],
    }  # fmt: skip
    counts = [0, -1, 2.5, "text", None, np.nan, [1]]
    bad = {
        **dict.fromkeys(["n_users", "n_items", "n_ratings", "rank"], counts),
        "n_ratings": [*counts, 10**6, 2**70],
        **{name: [-1, "text", None, np.nan, np.inf, 10**400, 1e308] for name in ("noise", "tail")},
        "rating_range": [(5, 1), (1,), "ab", None, 5, (np.nan, 1), (0, np.inf), ("a", "b"), (-1e308, 1e308),
                         (1, [2])],
        "rating_step": [0, -1, 100, "text", np.nan, np.inf, 1e-300],
        "random_state": [-1, "text"],
    }  # fmt: skip
    kwargs = {"n_users": 10, "n_items": 8, "n_ratings": 4, **choose.keywords(good, bad, 0.25)}

    def check(result):
        y = result[1] if isinstance(result, tuple) else result.target
        assert np.isfinite(y).all()

    return Call("make_ratings", datasets.make_ratings, (), kwargs, check=check)


def from_sparse(choose):
    n_users, n_items = choose.integer(1, 6), choose.integer(1, 6)
    dtype = choose.pick([np.float64, np.float32, np.int8, np.uint64, bool])
    dense = choose.rng.integers(0, 3, (n_users, n_items)).astype(dtype)
    convert = choose.pick([sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.csr_matrix])
    twice = sparse.coo_array((np.ones(2), ([0, 0], [0, 0])), shape=(n_users, n_items))
    bad = [dense, None, [[1]], twice, sparse.dia_array(dense), sparse.bsr_array(dense), sparse.coo_array(np.ones(3))]
    fields = Fields(choose, 2)
    fields.levels = [LEVELS[fields._kind()](7)[:n] for n in (n_users, n_items)]
    names = {"users": 0, "items": 1}
    kwargs = {
        name: choose.argument([fields.levels[j]], [[], ["a"], None, [None] * 3, [1, 1], "ab", fields.list_of_ids(j, 3)])
        for name, j in names.items()
        if choose.chance(0.4) and len(fields.levels[j]) == (n_users, n_items)[j]
    }
    matrix = choose.argument([convert(dense)], bad)

    def check(result):
        X, y = result
        assert X.shape == (len(y), 2)
        assert len(y) == matrix.nnz

    return Call("pairs_from_sparse", datasets.pairs_from_sparse, (matrix,), kwargs, check=check)


def to_sparse(choose):
    fields = Fields(choose, choose.argument([2], [3, 4]))
    n_users, n_items = map(len, fields.levels[:2])
    cells = choose.rng.permutation(n_users * n_items)[: choose.integer(1, 12)]
    fields.ids = lambda j, n, unknown=False: fields.levels[j][[cells // n_items, cells % n_items, cells * 0][min(j, 2)]]
    X, y = fields.table(len(cells)), numbers(choose, len(cells))
    kwargs = {}
    if choose.chance(0.3):
        j, name = choose.pick([(0, "users"), (1, "items")])
        kwargs[name] = choose.argument([fields.levels[j]], [[], ["a"], [None] * 3, [1, 1], "ab", {1: 2}])

    def check(result):
        matrix, users, items = result
        assert matrix.shape == (len(users), len(items))
        assert matrix.nnz == len(cells)

    return Call("pairs_to_sparse", datasets.pairs_to_sparse, (X, y), kwargs, check=check)


def fetch(choose):
    """Arguments of what downloads that are refused before it does."""
    args = [("text",), (None,), (5,), ([],), ("",)]
    return Call(
        "fetch_movielens",
        datasets.fetch_movielens,
        choose.pick(args),
        {"download_if_missing": False},
        more_errors=(OSError,),
    )


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
    metric, metric, scorer, of_lists, of_lists, split, split, prequential, load, load, fit_file, make_ratings,
    from_sparse, to_sparse, display_of_numbers, item_map, heat_map, display_of_estimator, fetch,
]  # fmt: skip
