"""Check what is taken for a list of ids: no masks, no sets, no tables, and nothing that fails from deep inside."""

import array
import collections

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers.four_ratings import fit
from scipy import sparse

from sklearn_mf.datasets import pairs_from_sparse, pairs_to_sparse
from sklearn_mf.metrics import catalog_coverage, ranking_of_lists

MODEL = fit([[1, 1], [0, 0], [1, 0], [0, 1]], [1.0, 2, 3, 4])
PAIRS = [[0, 0], [1, 1]]
PLACES = {
    "recommend(users)": ("users", lambda ids: MODEL.recommend(ids)),
    "recommend(candidates)": ("candidates", lambda ids: MODEL.recommend([1], candidates=ids)),
    "similar_users": ("users", lambda ids: MODEL.similar_users(ids)),
    "similar_items": ("items", lambda ids: MODEL.similar_items(ids)),
    "ranking_of_lists(users)": (
        "users",
        lambda ids: ranking_of_lists([[0], [1]], users=ids, X_test=PAIRS, y_test=[1, 2]),
    ),
    "catalog_coverage(catalog)": ("catalog", lambda ids: catalog_coverage([[0, 1]], catalog=ids)),
    "pairs_to_sparse(users)": ("users", lambda ids: pairs_to_sparse(PAIRS, [1.0, 2], users=ids)),
    "pairs_from_sparse(items)": ("items", lambda ids: pairs_from_sparse(sparse.eye_array(2).tocsr(), items=ids)),
}
MASKS = {
    "list": [False, True],
    "tuple": (False, True),
    "one": [True],
    "array": np.array([False, True]),
    "NumPy's bools": [np.False_, np.True_],
    "objects": np.array([False, True], dtype=object),
    "both": [False, np.True_],
    "masked array": np.ma.array([False, True]),
    "pandas": pd.Series([False, True]),
    "pandas index": pd.Index([False, True]),
    "pandas objects": pd.Series([False, True], dtype=object),
    "pandas nullable": pd.Series([False, True], dtype="boolean"),
    "pandas nullable array": pd.array([False, None], dtype="boolean"),
    "pandas nullable, with missing ones": pd.Series([False, None], dtype="boolean"),
    "pandas categorical": pd.Series([False, True]).astype("category"),
    "pandas pyarrow": pd.Series([False, True], dtype="bool[pyarrow]"),
    "polars": pl.Series([False, True]),
    "polars objects": pl.Series([False, True], dtype=pl.Object),
    "polars with missing ones": pl.Series([False, None]),
    "pyarrow": pa.array([False, True]),
    "pyarrow with missing ones": pa.array([False, None]),
    "pyarrow chunked": pa.chunked_array([[False], [True]]),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("place", PLACES)
def test_masks_are_refused(place, mask):
    name, call = PLACES[place]
    with pytest.raises(ValueError, match=rf"{name} is a mask of bools. Give the ids instead, for example ids\[mask\]"):
        call(MASKS[mask])


@pytest.mark.parametrize("place", PLACES)
def test_numbers_among_bools_are_ids(place):
    PLACES[place][1]([0, True])
    PLACES[place][1]([0, 1])


def test_bools_in_columns_of_a_table_are_ids():
    model = fit([[True, 1, False], [False, 0, True]], [1.0, 2.0])
    assert [ids.tolist() for ids in model.categories_] == [[0, 1]] * 3
    model.recommend([0, 1], context=[True, False])
    model.recommend([0, 1], context=[[True], [False]])
    model.recommend([0], context=[True])


NO_LISTS = {
    "dict": lambda: {0: 1, 1: 0},
    "keys": lambda: {0: 1, 1: 0}.keys(),
    "values": lambda: {0: 1, 1: 0}.values(),
    "items": lambda: {0: 1, 1: 0}.items(),
    "Counter": lambda: collections.Counter([0, 1]),
    "generator": lambda: (id_ for id_ in [0, 1]),
    "map": lambda: map(int, "01"),
    "iterator": lambda: iter([0, 1]),
    "text": lambda: "01",
    "bytes": lambda: b"01",
    "bytearray": lambda: bytearray(b"01"),
    "memoryview": lambda: memoryview(b"01"),
    "number": lambda: 1,
    "NumPy's number": lambda: np.int64(1),
    "array without dimensions": lambda: np.array(1),
    "None": lambda: None,
    "matrix": lambda: np.array([[0, 1]]).view(np.matrix),
    "recarray": lambda: np.rec.fromarrays([[0, 1]], names="u"),
    "structured": lambda: np.array([(0, 1)], dtype=[("u", int), ("i", int)]),
    "pandas frame": lambda: pd.DataFrame({"u": [0, 1]}),
    "polars frame": lambda: pl.DataFrame({"u": [0, 1]}),
    "polars lazy frame": lambda: pl.LazyFrame({"u": [0, 1]}),
    "polars expression": lambda: pl.col("u"),
    "pyarrow table": lambda: pa.table({"u": [0, 1]}),
    "sparse": lambda: sparse.csr_array([[0, 1]]),
    "list of sets": lambda: [{0}, {1}],
    "list of dicts": lambda: [{}, {}],
    "list of pairs": lambda: [(0, 1)],
    "ragged": lambda: [[0], [0, 1]],
    "list of arrays": lambda: [np.array([0]), np.array([1])],
    "list of 0-d arrays": lambda: [np.array(0), np.array(1)],
    "object": object,
    "class": lambda: int,
    "complex": lambda: np.array([1j, 0]),
    "integer beyond 64 bits": lambda: [10**400, 0],
    "a union of types": lambda: pa.UnionArray.from_sparse(
        pa.array([0, 1], pa.int8()), [pa.array([0, 1]), pa.array(["a", "b"])]
    ),
    "structs": lambda: pl.Series([{"a": 0}, {"a": 1}]),
}


@pytest.mark.parametrize("what", NO_LISTS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_list_of_ids(place, what):
    name, call = PLACES[place]
    if what == "None" and ("candidates" in place or "pairs" in place):
        pytest.skip("the default")
    with pytest.raises((ValueError, TypeError), match=f"(?i){name}") as raised:
        call(NO_LISTS[what]())
    assert type(raised.value) in (ValueError, TypeError), "those of other libraries are subclasses"


@pytest.mark.parametrize("ids", [{0, 1}, frozenset([0, 1])], ids=["set", "frozenset"])
@pytest.mark.parametrize("place", PLACES)
def test_sets_have_no_order(place, ids):
    name, call = PLACES[place]
    if name == "candidates":  # the only list whose order means nothing
        call(ids)
        return
    with pytest.raises(ValueError, match=rf"{name} .* not a (frozen)?set. Give the ids in order, as list\({name}\)"):
        call(ids)


@pytest.mark.parametrize(
    "ids",
    [
        range(2), (0, 1), collections.deque([0, 1]), array.array("i", [0, 1]), np.array([0.0, 1.0]), pd.Index([0, 1]),
        pd.array([0, 1]), pd.Categorical([0, 1]), pl.Series([0, 1]), pa.array([0, 1]), pa.chunked_array([[0], [1]]),
    ],
    ids=lambda ids: type(ids).__module__ + type(ids).__name__,
)  # fmt: skip
@pytest.mark.parametrize("place", PLACES)
def test_what_is_a_list_of_ids(place, ids):
    PLACES[place][1](ids)
