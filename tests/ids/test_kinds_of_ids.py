"""Check that ids of any kind, width and table are compared as the user gave them."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_mf import MatrixFactorizationRegressor

USERS = ["ann", "bob", "cem", "ann", "bob", "dora", "cem", "dora"]
ITEMS = [12, 7, 12, 9, 9, 7, 3, 3]
Y = [5.0, 3.0, 4.0, 2.0, 4.0, 1.0, 2.5, 3.5]


def model(**parameters):
    return MatrixFactorizationRegressor(rank=3, random_state=0, **parameters)


def same_bits(a, b):
    return all(np.array_equal(x, y) for x, y in zip([*a.factors_, *a.biases_], [*b.factors_, *b.biases_], strict=True))


@pytest.fixture(scope="module")
def reference():
    return model().fit([list(row) for row in zip(USERS, ITEMS, strict=True)], Y)


TABLES = {
    "list of tuples": lambda: list(zip(USERS, ITEMS, strict=True)),
    "object array": lambda: np.array(list(zip(USERS, ITEMS, strict=True)), dtype=object),
    "pandas": lambda: pd.DataFrame({"u": USERS, "i": ITEMS}),
    "pandas object": lambda: pd.DataFrame({"u": np.array(USERS, dtype=object), "i": ITEMS}),
    "pandas categorical": lambda: pd.DataFrame({"u": pd.Categorical(USERS), "i": pd.Categorical(ITEMS)}),
    "pandas categorical, unsorted and with unused ones": lambda: pd.DataFrame(
        {
            "u": pd.Categorical(USERS, categories=["zoe", "dora", "bob", "cem", "ann"]),
            "i": pd.Categorical(ITEMS, categories=[100, 12, 9, 7, 3, -5]),
        }
    ),
    "pandas nullable": lambda: pd.DataFrame(
        {"u": pd.array(USERS, dtype="string"), "i": pd.array(ITEMS, dtype="Int64")}
    ),
    "pandas pyarrow": lambda: pd.DataFrame({"u": USERS, "i": ITEMS}).convert_dtypes(dtype_backend="pyarrow"),
    "pandas pyarrow dictionary": lambda: pd.DataFrame(
        {"u": pd.Series(USERS, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))), "i": ITEMS}
    ),
    "polars": lambda: pl.DataFrame({"u": USERS, "i": ITEMS}),
    "polars categorical": lambda: pl.DataFrame({"u": pl.Series(USERS, dtype=pl.Categorical), "i": ITEMS}),
    "polars enum": lambda: pl.DataFrame(
        {"u": pl.Series(USERS, dtype=pl.Enum(["zoe", "dora", "bob", "cem", "ann"])), "i": ITEMS}
    ),
    "pyarrow": lambda: pa.table({"u": USERS, "i": ITEMS}),
    "pyarrow dictionary": lambda: pa.table({"u": pa.array(USERS).dictionary_encode(), "i": ITEMS}),
    "floats for ints": lambda: pd.DataFrame({"u": USERS, "i": np.array(ITEMS, dtype=float)}),
    "small ints": lambda: pd.DataFrame({"u": USERS, "i": np.array(ITEMS, dtype=np.uint8)}),
}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_gives_the_same_model(table, reference):
    X = TABLES[table]()
    fitted = model().fit(X, Y)
    assert same_bits(fitted, reference)
    assert [list(levels) for levels in fitted.categories_] == [["ann", "bob", "cem", "dora"], [3, 7, 9, 12]]
    np.testing.assert_array_equal(fitted.predict(X), fitted.predict(X))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
        np.testing.assert_array_equal(reference.predict(X), fitted.predict(TABLES["list of tuples"]()))


def test_fixed_width_text_and_bytes():
    text, data = np.array([USERS, USERS]).T, np.array([USERS, USERS], dtype="S").T
    as_text, as_bytes = model().fit(text, Y), model().fit(data, Y)
    assert same_bits(as_text, as_bytes)
    assert as_bytes.categories_[0][0] == b"ann"
    with pytest.raises(ValueError, match=r"column 0 of X are text .*fitted on bytes ids \(such as b'ann'\)"):
        as_bytes.predict(text)


@pytest.mark.parametrize("base", [2**31, 2**53, 2**62, -(2**63), 2**63 - 3, 2**64 - 3])
def test_wide_ints_do_not_collide(base):
    ids = [base, base + 1, base + 2] * 4
    X = [[user, item] for user, item in zip(ids, [1, 2, 3, 4] * 3, strict=True)]
    fitted = model().fit(X, np.arange(12))
    assert fitted.categories_[0].tolist() == [base, base + 1, base + 2]
    assert len(set(fitted.predict([[base, 1], [base + 1, 1], [base + 2, 1]]))) == 3


def test_unsigned_ints_just_beyond_int64():
    """NumPy 1 compares them with Python's as floats, which are the same for all of these."""
    X = np.array([[2**63 + k, k] for k in range(3)], dtype=np.uint64)
    assert model().fit(X, [1, 2, 3]).categories_[0].tolist() == [2**63, 2**63 + 1, 2**63 + 2]


def test_ints_on_both_sides_of_64_bits_stay_exact():
    X = [[-1, 1], [2**63, 2], [2**63 + 1, 1]]
    fitted = model().fit(X, [1, 2, 3])
    assert fitted.categories_[0].tolist() == [-1, 2**63, 2**63 + 1]


def test_float_against_int_compares_exactly():
    fitted = model(handle_unknown="nan").fit([[2**53, 1], [2**53 + 1, 2], [5, 1]], [1, 2, 3])
    asked = np.array([[2.0**53, 1], [5.0, 1], [5.5, 1], [1e300, 1]])
    np.testing.assert_array_equal(np.isnan(fitted.predict(asked)), [False, False, True, True])
    fitted = model(handle_unknown="nan").fit([[0.5, 1], [float(2**53), 2], [3, 1]], [1, 2, 3])
    asked = [[2**53, 1], [2**53 + 1, 1], [3, 1], [0.5, 1], [True, 1]]
    np.testing.assert_array_equal(np.isnan(fitted.predict(asked)), [False, True, False, False, True])
    fitted = model(handle_unknown="nan").fit(np.array([[0.1, 1], [0.2, 2]], dtype=np.float32), [1, 2])
    assert np.isnan(fitted.predict([[0.1, 1]])).all(), "0.1 in single precision is another number"


def test_numpy_scalars_compare_exactly_too():
    X = [[np.int64(2**53 + 1), 0], [np.float64(2**53), 1], [5, 2], [np.int8(-128), 3], [np.int64(-(2**63)), 4]]
    fitted = model(handle_unknown="error").fit(X, [1, 2, 3, 4, 5])
    assert fitted.categories_[0].tolist() == [-(2**63), -128, 5, 2**53, 2**53 + 1]
    assert same_bits(fitted, model().fit(X[::-1], [5, 4, 3, 2, 1]))
    assert not np.isnan(fitted.predict(X)).any()
    floats = [[np.float32(0.1), 0], [0.1, 1], [np.float16(0.1), 2]]
    assert model().fit(floats, [1, 2, 3]).categories_[0].tolist() == sorted(float(value) for value, _ in floats)


NUMBERS = {
    "ints": [3, 1, 2**62, 1],
    "ints beyond int64": [2**64 - 1, 3, 2**63, 3],
    "ints and bools": [3, True, False, 1],
    "floats": [0.5, 2.0, 0.5, -1e300],
    "whole floats": [3.0, 1.0, 2.0**40, 1.0],
    "ints and floats": [3, 0.5, 3.0, 2**53 + 1],
    "wide ints and floats": [2**63, 0.5, 2.0**63, 3],
    "NumPy's": [np.int8(3), np.float32(0.5), np.uint64(2**63), 3],
}


@pytest.mark.parametrize("numbers", NUMBERS)
def test_levels_of_lists_of_numbers_are_sorted_and_exact(numbers):
    values = NUMBERS[numbers]
    fitted = model(handle_unknown="error", max_iter=1).fit([[value, "a"] for value in values], [1, 2, 3, 4])
    assert fitted.categories_[0].tolist() == sorted(
        {getattr(value, "item", lambda value=value: value)() for value in values}
    )
    fitted.predict([[value, "a"] for value in values])


@pytest.mark.parametrize("others", [[], [0.5], [2**63]], ids=["ints", "with a float", "beyond int64"])
def test_numbers_are_not_hashed_in_python(others):
    """Python has no seed for numbers, so that many could be chosen whose hashes collide."""

    class Number(int):
        hashed = 0

        def __hash__(self):
            Number.hashed += 1
            return 0

    fitted = model(max_iter=1).fit(
        [[Number(k), k % 3] for k in range(50)] + [[k, 0] for k in others], range(50 + len(others))
    )
    fitted.predict([[Number(k), 0] for k in range(100)])
    assert Number.hashed == 0


def test_floats_wider_than_64_bits_among_objects_are_refused():
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(ValueError, match=r"Ids in column 0 of X are (longdouble|float128), wider than 64"):
            model().fit([[np.longdouble(1) / 3, 1], [1, 2]], [1, 2])


def test_one_and_true_are_one_id():
    fitted = model().fit([[1, "a"], [True, "b"], [1.0, "c"], [0, "a"]], [1, 2, 3, 4])
    assert fitted.categories_[0].tolist() == [0, 1]
    assert model().fit(np.array([[True, False], [False, True]]), [1, 2]).categories_[0].tolist() == [0, 1]


def test_datetimes():
    days = [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]
    from_dates = model().fit([[days[0], 1], [days[1], 2]], [1, 2])
    frame = pd.DataFrame({"day": pd.to_datetime(days), "i": [1, 2]})
    assert same_bits(model().fit(frame, [1, 2]), from_dates)
    polars = pl.DataFrame({"day": days, "i": [1, 2]})
    assert same_bits(model().fit(polars, [1, 2]), from_dates)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    aware = frame.assign(day=frame.day.dt.tz_localize(zone))
    fitted = model().fit(aware, [1, 2])
    assert fitted.categories_[0][0] == np.datetime64("2023-12-31T22:00")
    assert not np.isnan(model(handle_unknown="nan").fit(aware, [1, 2]).predict(aware)).any()
    with pytest.raises(ValueError, match=r"column 0 of X are numbers .*fitted on datetime"):
        from_dates.predict([[20240101, 1]])


def test_datetime_objects_keep_their_precision_and_range():
    stamps = [pd.Timestamp(1), pd.Timestamp(2)]
    fitted = model(handle_unknown="error").fit([[stamps[0], 1], [stamps[1], 2]], [1, 2])
    assert len(fitted.categories_[0]) == 2
    as_column = pd.DataFrame({0: np.array([1, 2]).astype("datetime64[ns]"), 1: [1, 2]})
    assert same_bits(model().fit(as_column, [1, 2]), fitted)
    fitted.predict(as_column)
    far = datetime.date(9999, 1, 1)
    with pytest.raises(ValueError, match="Column 0 of X has datetimes that are too far apart"):
        model().fit([[np.datetime64("2024-01-01", "ns"), 1], [far, 2]], [1, 2])
    assert np.isnan(model(handle_unknown="nan").fit(as_column, [1, 2]).predict([[far, 1]]))
    of_days = model(handle_unknown="nan").fit([[far, 1], [datetime.date(2024, 1, 1), 2]], [1, 2])
    earliest = np.datetime64(-(2**63) + 1, "ns")  # its day begins earlier than nanoseconds can say
    assert np.isnan(of_days.predict([[earliest, 1]]))


@pytest.mark.parametrize(
    ("fitted_on", "asked", "kinds"),
    [
        ([["1", "a"], ["2", "b"]], [[1, "a"]], "are numbers .such as 1.*fitted on text ids .such as '1'"),
        ([[1, "a"], [2, "b"]], [["1", "a"]], "are text .such as '1'.*fitted on number ids .such as 1"),
    ],
)
def test_ids_of_another_kind_are_an_error_that_names_the_column(fitted_on, asked, kinds):
    with pytest.raises(ValueError, match="column 0 of X " + kinds):
        model().fit(fitted_on, [1, 2]).predict(asked)
    frame = pd.DataFrame(asked, columns=["who", "what"])
    with pytest.raises(ValueError, match=r"column 0 \('who'\) of X " + kinds):
        model().fit(pd.DataFrame(fitted_on, columns=["who", "what"]), [1, 2]).predict(frame)


def test_unused_categories_are_not_looked_at():
    mixed = pd.Categorical.from_codes([0, 1], categories=["a", "b", -1])
    fitted = model().fit(pd.DataFrame({"u": mixed, "i": [1, 2]}), [1, 2])
    assert fitted.categories_[0].tolist() == ["a", "b"]


def test_half_precision():
    X = np.array([[1, 2], [3, 4.5]], dtype=np.float16)
    assert model().fit(X, [1, 2]).categories_[1].tolist() == [2.0, 4.5]


def test_a_wide_categorical_is_never_expanded():
    """Only the categories are looked at: values that could not be hashed fast are not touched row by row."""

    class Counted(str):
        hashed = 0

        def __hash__(self):
            Counted.hashed += 1
            return super().__hash__()

    categories = pd.Index(np.array([Counted(f"user{i}") for i in range(50)], dtype=object))
    codes = np.random.default_rng(0).integers(50, size=20_000)
    frame = pd.DataFrame({"u": pd.Categorical.from_codes(codes, categories=categories), "i": codes % 7})
    Counted.hashed = 0
    model(max_iter=1).fit(frame, codes.astype(float))
    assert Counted.hashed < 5_000


def test_read_only_memory_map(tmp_path):
    X = np.array([[1, 2], [3, 4], [1, 4], [3, 2]])
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert same_bits(model().fit(mapped, [1, 2, 3, 4]), model().fit(X, [1, 2, 3, 4]))


def test_what_the_user_owns_is_not_changed():
    frame = TABLES["pandas categorical"]()
    y, w = np.array(Y), np.arange(8.0)
    copies = frame.copy(), y.copy(), w.copy()
    model().fit(frame, y, sample_weight=w).predict(frame)
    pd.testing.assert_frame_equal(frame, copies[0])
    np.testing.assert_array_equal(y, copies[1])
    np.testing.assert_array_equal(w, copies[2])


def test_feature_names():
    frame = TABLES["pandas"]()
    fitted = model().fit(frame, Y)
    assert fitted.feature_names_in_.tolist() == ["u", "i"]
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        fitted.predict(frame[["i", "u"]])


def test_columns_that_can_hardly_be_categories_get_a_warning():
    rng = np.random.default_rng(0)
    ids = rng.integers(50, size=(1000, 2))
    y = rng.normal(size=1000)
    for quiet in (rng.permutation(1000) // 2, rng.permutation(1000) % 100 + 0.5):  # 500 levels, 100 that are no ints
        model(max_iter=1, learning_rate=0.01).fit(np.column_stack([ids, quiet]), y)
    for loud in (np.minimum(np.arange(1000), 500), np.minimum(np.arange(1000), 100) + 0.5):
        with pytest.warns(UserWarning, match="Column 2 of X"):
            model(max_iter=1, learning_rate=0.01).fit(np.column_stack([ids, loud]), y)
    counted = np.arange(1000) < 900  # a weight of zero is absence
    model(max_iter=1, learning_rate=0.01).fit(np.column_stack([ids, np.arange(1000)]), y, sample_weight=counted)
    for column, looks in [(np.arange(1000), "like an identifier of rows"), (rng.normal(size=1000), "continuous")]:
        with pytest.warns(UserWarning, match=f"Column 2 of X has 1000 levels .*{looks}.*KBinsDiscretizer"):
            model(max_iter=1, learning_rate=0.01).fit(np.column_stack([ids, column]), y)
    frame = pd.DataFrame({"u": ids[:, 0], "when": pd.date_range("2024", periods=1000, freq="h")})
    with pytest.warns(UserWarning, match=r"Column 1 \('when'\) .*continuous"):
        model(max_iter=1, learning_rate=0.01).fit(frame, y)
