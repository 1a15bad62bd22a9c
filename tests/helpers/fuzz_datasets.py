"""Make calls of what brings ratings: files, made ratings, sparse matrices, downloads."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet
from scipy import sparse

from helpers.fuzz_choices import Call
from helpers.fuzz_models import regressor
from helpers.fuzz_tables import LEVELS, Fields, numbers
from sklearn_mf import datasets

FOLDER = Path(tempfile.gettempdir()) / "sklearn_mf_fuzz"

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
        path = choose.argument([path], [FOLDER / "nothing.parquet", FOLDER / "*.parquet", [path], "s3://bucket/x"])
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


MAKERS = [load, load, fit_file, make_ratings, from_sparse, to_sparse, fetch]
