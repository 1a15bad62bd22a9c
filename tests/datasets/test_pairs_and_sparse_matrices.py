"""Check that sparse matrices become pairs and pairs become sparse matrices."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings, pairs_from_sparse, pairs_to_sparse

# pairs_from_sparse


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array, sparse.dok_array])
def test_pairs_from_sparse(container):
    M = np.array([[5.0, 0, 3], [0, 4, 0]])
    X, y = pairs_from_sparse(container(M))
    assert X.dtype == np.int64
    dense = np.zeros_like(M)
    dense[X[:, 0], X[:, 1]] = y
    np.testing.assert_array_equal(dense, M)
    assert len(y) == 3


def test_stored_zeros_are_ratings():
    X, y = pairs_from_sparse(sparse.coo_array(([0.0, 2.0], ([0, 1], [1, 0])), shape=(2, 2)))
    assert sorted(zip(X.tolist(), y, strict=True)) == [([0, 1], 0.0), ([1, 0], 2.0)]


@pytest.mark.parametrize(
    "container", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.dok_array]
)
def test_stored_zeros_are_ratings_in_every_format_taken(container):
    X, y = pairs_from_sparse(container(sparse.csr_array(([0.0, 2.0], ([0, 1], [1, 0])), shape=(2, 2))))
    assert sorted(zip(X.tolist(), y, strict=True)) == [([0, 1], 0.0), ([1, 0], 2.0)]


def test_blocks_are_refused_as_their_padding_looks_like_ratings():
    blocks = sparse.bsr_array(sparse.csr_array([[5, 0, 3, 0], [0, 4, 0, 0]]), blocksize=(2, 2))
    assert blocks.tocsr().nnz == 8  # of 3 ratings: to convert it is no way out
    with pytest.raises(TypeError, match=r"matrix is in BSR format.* pads its blocks with zeros.* csr_array\("):
        pairs_from_sparse(blocks)


def test_diagonals_are_refused_as_they_lose_ratings_of_zero():
    diagonals = sparse.dia_array(sparse.csr_array(([0.0, 2.0], ([0, 1], [0, 1])), shape=(2, 2)))
    assert diagonals.tocsr().nnz == 1  # of 2 ratings
    with pytest.raises(TypeError, match=r"matrix is in DIA format.* Ratings of 0 .* lost.* csr_array\("):
        pairs_from_sparse(diagonals)


REPEATING = {  # (1, 2) three times, (0, 0) twice
    "coo": sparse.coo_array(([1.0, 2, 3, 4, 5], ([0, 1, 1, 0, 1], [0, 2, 2, 0, 2])), shape=(2, 3)),
    "csr": sparse.csr_array(([1.0, 4, 2, 3, 5], [0, 0, 2, 2, 2], [0, 2, 5]), shape=(2, 3)),
    "csc": sparse.csc_array(([1.0, 4, 2, 3, 5], [0, 0, 1, 1, 1], [0, 2, 2, 5]), shape=(2, 3)),
}
FIRST_REPEAT = {"coo": (1, 2, "'bob', 7"), "csr": (0, 1, "'ann', 9"), "csc": (0, 1, "'ann', 9")}


@pytest.mark.parametrize("matrix", REPEATING.values(), ids=REPEATING)
def test_a_repeated_entry_is_named_and_never_summed(matrix):
    before = matrix.copy()
    first, again, pair = FIRST_REPEAT[matrix.format]
    with pytest.raises(
        ValueError, match=rf"matrix has the pair \({pair}\) twice, in entries {first} and {again}.*sum_duplicates"
    ):
        pairs_from_sparse(matrix, users=["ann", "bob"], items=[9, 8, 7])
    np.testing.assert_array_equal(matrix.data, before.data)
    assert matrix.nnz == 5
    matrix = matrix.copy()
    matrix.sum_duplicates()
    X, y = pairs_from_sparse(matrix)
    assert sorted(zip(X.tolist(), y, strict=True)) == [([0, 0], 5.0), ([1, 2], 10.0)]


def test_a_repeated_entry_is_found_whatever_the_values():
    for values in ([0, 0], [1, -1], [True, True], [1j, 2j]):
        with pytest.raises(ValueError, match=r"the pair \(0, 1\) twice, in entries 0 and 1"):
            pairs_from_sparse(sparse.coo_array((values, ([0, 0], [1, 1]))))


def test_entries_out_of_order_are_no_repeats():
    X, y = pairs_from_sparse(sparse.csr_array(([3, 5, 4], [2, 0, 1], [0, 2, 3]), shape=(2, 3)))
    assert sorted(zip(X.tolist(), y, strict=True)) == [([0, 0], 5), ([0, 2], 3), ([1, 1], 4)]


def test_pairs_from_dense_is_refused():
    with pytest.raises(TypeError, match="must be a scipy sparse matrix or array, not ndarray") as error:
        pairs_from_sparse(np.eye(2))
    assert "csr_array(matrix)" in str(error.value)
    assert "one row for each rating" in str(error.value)


def test_pairs_from_a_wide_frame_are_refused_with_the_way_to_a_long_one():
    long = pd.DataFrame({"user": [1, 1, 2], "film": ["a", "b", "a"], "stars": [5.0, 0.0, 3.0]})
    matrix = long.pivot(index="user", columns="film", values="stars")
    with pytest.raises(TypeError, match="must be a scipy sparse matrix or array, not DataFrame") as error:
        pairs_from_sparse(matrix)
    advice = "long = matrix.stack().dropna().reset_index()"
    assert f"`{advice}`" in str(error.value)
    assert "long.iloc[:, :2]" in str(error.value)
    stacked = matrix.stack().dropna().reset_index()
    assert stacked.to_numpy().tolist() == long.to_numpy().tolist()


def test_pairs_from_another_frame_are_refused():
    with pytest.raises(TypeError, match=r"not DataFrame: .* one row for each rating") as error:
        pairs_from_sparse(pl.DataFrame({"a": [1.0]}))
    assert "stack" not in str(error.value)


def test_pairs_from_one_dimension_are_refused():
    with pytest.raises(ValueError, match="matrix must have two dimensions, users and items, but has 1"):
        pairs_from_sparse(sparse.coo_array(np.ones(3)))


MATRIX = sparse.csr_array([[5, 0, 3], [0, 4, 0]])


@pytest.mark.parametrize("container", [list, tuple, np.array, pd.Series, pl.Series])
def test_ids_of_rows_and_columns_are_put_into_pairs(container):
    X, y = pairs_from_sparse(MATRIX, users=container([100, 2**40]), items=container([7, 30, -2]))
    assert X.dtype == np.int64
    assert X.tolist() == [[100, 7], [100, -2], [2**40, 30]]
    assert y.tolist() == [5, 3, 4]


@pytest.mark.parametrize("text", [list, np.array, pd.Series, pl.Series, pd.Categorical, pd.Index])
def test_text_keeps_numbers_numbers(text):
    X, _ = pairs_from_sparse(MATRIX, users=text(["bob", "ann"]))
    assert X.dtype == object
    assert X.tolist() == [["bob", 0], ["bob", 2], ["ann", 1]]
    assert {type(cell) for cell in X.ravel()} == {str, int}


def test_datetimes_are_kept_to_the_nanosecond():
    days = np.array(["2020-01-01T00:00:00.000000001", "2021-01-01"], dtype="datetime64[ns]")
    X, y = pairs_from_sparse(MATRIX, users=days)
    assert X[:, 0].tolist() == [days[0], days[0], days[1]]
    matrix, users, _ = pairs_to_sparse(X, y)
    np.testing.assert_array_equal(users, days)
    np.testing.assert_array_equal(matrix.toarray(), MATRIX.toarray())


def test_ints_beyond_int64_are_kept_as_objects():
    X, _ = pairs_from_sparse(MATRIX, users=np.array([1, 2**64 - 1], dtype=np.uint64))
    assert X[:, 0].tolist() == [1, 1, 2**64 - 1]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({"users": ["a"]}, "users has 1 ids, but matrix has 2 rows"),
        ({"items": ["a", "b"]}, "items has 2 ids, but matrix has 3 columns"),
        ({"items": ["a", "b", "a"]}, "items has the id 'a' twice, at 0 and 2. Give each id once"),
        ({"users": [7, 7.0]}, "users has the id 7 twice, at 0 and 1"),
        ({"users": [1.0, np.nan]}, "missing ids in users: 1 of 2 rows, the first at row 1"),
        ({"users": "ab"}, "users must be a list or 1D array of ids, not the single id 'ab'"),
    ],
)
def test_wrong_ids_of_rows_or_columns(ids, message):
    with pytest.raises(ValueError, match=message):
        pairs_from_sparse(MATRIX, **ids)


# pairs_to_sparse

ROWS = [["ann", 12], ["bob", 7], ["ann", 9]]
Y = [5.0, 4.0, 0.0]
TABLES = {
    "list": lambda rows: rows,
    "tuples": lambda rows: [tuple(row) for row in rows],
    "object array": lambda rows: np.array(rows, dtype=object),
    "pandas": lambda rows: pd.DataFrame(rows, columns=["user", "film"]),
    "pandas categorical": lambda rows: pd.DataFrame(rows, columns=["user", "film"]).astype("category"),
    "polars": lambda rows: pl.DataFrame(rows, schema=["user", "film"], orient="row"),
    "pyarrow": lambda rows: pl.DataFrame(rows, schema=["user", "film"], orient="row").to_arrow(),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_pairs_to_sparse_takes_any_table(table):
    matrix, users, items = pairs_to_sparse(table(ROWS), Y)
    assert isinstance(matrix, sparse.csr_array)
    assert users.tolist() == ["ann", "bob"]
    assert items.tolist() == [7, 9, 12]
    assert items.dtype == np.int64
    assert matrix.dtype == np.float64
    assert matrix.nnz == 3  # the zero is stored
    np.testing.assert_array_equal(matrix.toarray(), [[0, 0, 5], [4, 0, 0]])


@pytest.mark.parametrize("ratings", [np.array, pd.Series, pl.Series])
def test_ratings_in_any_container(ratings):
    assert pairs_to_sparse(ROWS, ratings(Y))[0].data.tolist() == [0.0, 5.0, 4.0]


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("f8", "f8"),
        ("f4", "f4"),
        ("i8", "i8"),
        ("u1", "u1"),
        (bool, "f8"),
        ("f2", "f8"),
        (">f8", "f8"),
        (">i4", "f8"),
        (object, "f8"),
    ],
)
def test_the_dtype_of_the_ratings_is_kept_where_scipy_has_it(dtype, stored):
    matrix, _, _ = pairs_to_sparse(ROWS, np.array([1, 0, 1]).astype(dtype))
    assert matrix.dtype == stored
    np.testing.assert_array_equal(matrix.toarray(), [[0, 1, 1], [0, 0, 0]])
    assert matrix.nnz == 3


def test_given_ids_set_the_order_and_may_have_no_ratings():
    matrix, users, items = pairs_to_sparse(ROWS, Y, users=["cem", "bob", "ann"], items=[7, 8, 9, 12])
    assert users.tolist() == ["cem", "bob", "ann"]
    assert items.tolist() == [7, 8, 9, 12]
    np.testing.assert_array_equal(matrix.toarray(), [[0, 0, 0, 0], [4, 0, 0, 0], [0, 0, 0, 5]])


def test_given_ids_are_found_whatever_their_container_and_type():
    for users in (np.array([2.0, 1.0]), [True, 2], pd.Series([2, 1], dtype="Int64"), np.array([1, 2], dtype=np.uint64)):
        matrix, found, _ = pairs_to_sparse(np.array([[1, 5], [2, 5]], dtype=np.int32), [3.0, 4.0], users=users)
        assert dict(zip(found.tolist(), matrix.toarray()[:, 0], strict=True)) == {1: 3.0, 2: 4.0}
    days = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]")
    X = pd.DataFrame({"day": days.astype("datetime64[ns]"), "item": [1, 1]})
    np.testing.assert_array_equal(pairs_to_sparse(X, [3, 4], users=days[::-1])[0].toarray(), [[4], [3]])


def test_rows_belong_to_the_factors_of_a_model():
    X, y = make_ratings(30, 20, 200, random_state=0, return_X_y=True)
    model = MatrixFactorizationRegressor(rank=2, max_iter=2, random_state=0).fit(X, y)
    matrix, users, items = pairs_to_sparse(X[:50], y[:50], users=model.categories_[0], items=model.categories_[1])
    assert matrix.shape == (len(model.user_factors_), len(model.item_factors_))
    np.testing.assert_array_equal(users, model.categories_[0])
    assert not np.shares_memory(users, model.categories_[0])
    for (user, item), rating in zip(X[:50], y[:50], strict=True):
        assert matrix[np.flatnonzero(users == user)[0], np.flatnonzero(items == item)[0]] == rating


def test_a_repeated_pair_is_named_and_never_summed():
    X = [["ann", 1], ["bob", 2], ["cem", 3], ["bob", 2], ["ann", 1]]
    with pytest.raises(ValueError, match=r"the pair \('bob', 2\) twice, in rows 1 and 3.* drop_duplicates") as error:
        pairs_to_sparse(X, [1, 2, 3, -2, 5])
    assert "mean with groupby" in str(error.value)
    with pytest.raises(ValueError, match="twice, in rows 0 and 1"):
        pairs_to_sparse([["ann", 1], ["ann", 1]], [0.0, 0.0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"users": ["ann", "cem"]}, "In row 1, column 0 of X has the id 'bob', which is not among the 2 ids in users"),
        ({"users": []}, r"In row 0, column 0 of X has the id 'ann', .* the 0 ids in users \(2 such ids in all\)"),
        ({"items": ["12", "7", "9"]}, r"column 1 of X are numbers \(such as 7\), but items has text ids"),
        ({"items": [7, 9, 7, 12]}, "items has the id 7 twice, at 0 and 2"),
        ({"items": np.array(["2020"], dtype="M8[D]")}, "column 1 of X are numbers .* but items has datetime ids"),
        ({"items": [[7, 9]]}, "items must be a list of ids, but contains lists"),
    ],
)
def test_an_id_that_is_not_among_those_given_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        pairs_to_sparse(ROWS, Y, **given)


def test_an_int_is_no_datetime():
    with pytest.raises(ValueError, match=r"column 0 of X are numbers .* but users has datetime ids"):
        pairs_to_sparse([[1, 5]], [3.0], users=np.array([1], dtype="datetime64[ns]"))


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1, 2, 3]], [1.0], r"X has 3 columns, but a matrix takes two.* X\[:, :2\]"),
        ([[1]], [1.0], "X has 1 columns"),
        (ROWS, [1.0, 2.0], "inconsistent numbers of samples: 3 pairs and 2 ratings"),
        (ROWS, [1.0, np.nan, 2.0], "NaN or infinity: 1 of 3 ratings, the first at row 1"),
        (ROWS, ["a", "b", "c"], "y has text"),
        ([[1, None], [2, 3]], [1.0, 2.0], "missing ids in column 1 of X"),
        ([1, 2], [1.0, 2.0], "Expected 2D array, got 1D array"),
    ],
)
def test_wrong_pairs_or_ratings(X, y, message):
    with pytest.raises(ValueError, match=message):
        pairs_to_sparse(X, y)


def test_a_matrix_instead_of_pairs():
    with pytest.raises(TypeError, match="Sparse X is not supported by pairs_to_sparse"):
        pairs_to_sparse(MATRIX, [1.0])


def test_nothing_in_nothing_out():
    X, y = pairs_from_sparse(sparse.csr_array((0, 3)), users=[], items=["a", "b", "c"])
    assert X.shape == (0, 2)
    matrix, _, _ = pairs_to_sparse(X, y, users=["ann"], items=["a", "b", "c"])
    assert matrix.shape == (1, 3)
    assert matrix.nnz == 0


IDS = [
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=4),
    st.binary(max_size=4),
    st.floats(allow_nan=False, allow_infinity=False),
]


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_there_and_back(data):
    users, items = (
        data.draw(st.lists(data.draw(st.sampled_from(IDS)), min_size=1, max_size=6, unique=True)) for _ in "ui"
    )
    cells = st.tuples(st.integers(0, len(users) - 1), st.integers(0, len(items) - 1))
    cells = data.draw(st.lists(cells, unique=True, max_size=12))
    y = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.5, -2.0]), min_size=len(cells), max_size=len(cells))))
    X = np.empty((len(cells), 2), dtype=object)
    for i, (row, col) in enumerate(cells):
        X[i] = [users[row], items[col]]

    matrix, user_ids, item_ids = pairs_to_sparse(X, y, users=users, items=items)
    assert matrix.shape == (len(users), len(items))
    assert matrix.nnz == len(y)
    X_back, y_back = pairs_from_sparse(matrix, users=user_ids, items=item_ids)
    expected = {(user, item): rating for (user, item), rating in zip(X.tolist(), y, strict=True)}
    assert {(user, item): rating for (user, item), rating in zip(X_back.tolist(), y_back, strict=True)} == expected

    matrix, user_ids, item_ids = pairs_to_sparse(X, y)  # sorted ids of those in X
    assert user_ids.tolist() == sorted(set(X[:, 0]))
    assert item_ids.tolist() == sorted(set(X[:, 1]))
    X_back, y_back = pairs_from_sparse(matrix, users=user_ids, items=item_ids)
    assert {(user, item): rating for (user, item), rating in zip(X_back.tolist(), y_back, strict=True)} == expected
