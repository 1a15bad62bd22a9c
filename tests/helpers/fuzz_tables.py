"""Make ids of every kind, tables of them in every container, ratings and weights; good ones and bad ones."""

import datetime
import decimal
import fractions
from contextlib import suppress

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy import sparse

ZONES = [datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=2))]
DAY = datetime.datetime(2020, 2, 28, 12, 30)


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def listed(column):
    """The values of an array in a list: those of Python, and datetime64 where Python's would be a number."""
    return list(column) if column.dtype.kind == "M" else column.tolist()


def days(n):
    return [DAY + datetime.timedelta(days=i) for i in range(n)]


# n distinct ids of a kind; of bools at most two.
LEVELS = {
    "int64": lambda n: np.arange(n) * 7 - 3,
    "int8": lambda n: np.arange(n, dtype=np.int8) - 2,
    "int16": lambda n: np.arange(n, dtype=np.int16),
    "int32 of another byte order": lambda n: np.arange(n).astype(">i4"),
    "uint8": lambda n: np.arange(n, dtype=np.uint8),
    "uint32": lambda n: np.arange(n, dtype=np.uint32) + np.uint32(2**31),
    "uint64": lambda n: np.arange(n, dtype=np.uint64) + np.uint64(2**63),
    "extreme int64": lambda n: np.linspace(-(2**62), 2**62, n).astype(np.int64),
    "float16": lambda n: np.arange(n, dtype=np.float16) / 2,
    "float32": lambda n: np.arange(n, dtype=np.float32) + np.float32(0.1),
    "float64": lambda n: np.arange(n) * 1e300 - 0.0,
    "long double": lambda n: np.arange(n, dtype=np.longdouble),
    "bool": lambda n: np.array([False, True])[:n],
    "text": lambda n: np.array([f"id {i}" for i in range(n)]),
    "text objects": lambda n: objects(["", "a\0", "a", "é", "日本", "x" * 300, *map(str, range(n))][:n]),
    "lone surrogates": lambda n: objects([f"\ud800{i}" for i in range(n)]),
    "bytes": lambda n: np.array([b"id %d" % i for i in range(n)]),
    "bytes objects": lambda n: objects([b"\xff%d" % i for i in range(n)]),
    "days": lambda n: np.array(days(n), dtype="M8[D]"),
    "seconds": lambda n: np.array(days(n), dtype="M8[s]"),
    "nanoseconds": lambda n: np.array(days(n), dtype="M8[ns]"),
    "date objects": lambda n: objects([day.date() for day in days(n)]),
    "datetime objects": lambda n: objects(days(n)),
    "aware datetime objects": lambda n: objects([day.replace(tzinfo=ZONES[i % 2]) for i, day in enumerate(days(n))]),
    "timestamps": lambda n: objects([pd.Timestamp(day) for day in days(n)]),
    "mixed numbers": lambda n: objects([0, True, 2.5, np.int8(3), np.float32(4.5), *range(5, n + 5)][:n]),
    "integers beyond int64": lambda n: objects([2**63 + i for i in range(n)]),
    "fractions of integers": lambda n: objects([float(i) for i in range(n)]),
}
if hasattr(getattr(np, "dtypes", None), "StringDType"):  # from NumPy 2 on
    LEVELS["string dtype"] = lambda n: np.array([f"id {i}" for i in range(n)], dtype=np.dtypes.StringDType())
COMMON = ["int64", "text", "text objects"]  # drawn as often as all others together


def as_array(columns):
    """Stack the columns as they are if they are of one type, else as objects."""
    if len({column.dtype for column in columns}) == 1:
        return np.stack(columns, axis=1)
    table = np.empty((len(columns[0]), len(columns)), dtype=object)
    for j, column in enumerate(columns):
        table[:, j] = listed(column)
    return table


def read_only(array):
    array.flags.writeable = False
    return array


def in_pandas(columns):
    names = ["user", "item", "week", "device"][: len(columns)]
    return pd.DataFrame({name: pd.Series(listed(column)) for name, column in zip(names, columns, strict=True)})


CONTAINERS = {
    "rows": lambda columns: [list(row) for row in zip(*(listed(column) for column in columns), strict=True)],
    "tuples of scalars": lambda columns: tuple(zip(*columns, strict=True)),
    "array": as_array,
    "fortran": lambda columns: np.asfortranarray(as_array(columns)),
    "every second row": lambda columns: np.repeat(as_array(columns), 2, axis=0)[::2],
    "read only": lambda columns: read_only(as_array(columns)),
    "objects": lambda columns: as_array([*columns]).astype(object),
    "masked": lambda columns: np.ma.masked_array(as_array(columns)),
    "pandas": in_pandas,
    "pandas of the arrays": lambda columns: pd.DataFrame({f"c{j}": pd.Series(c) for j, c in enumerate(columns)}),
    "nullable": lambda columns: in_pandas(columns).convert_dtypes(),
    "in arrow memory": lambda columns: in_pandas(columns).convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda columns: in_pandas(columns).astype("category"),
    "polars": lambda columns: pl.DataFrame({f"c{j}": listed(column) for j, column in enumerate(columns)}),
    "polars categories": lambda columns: pl.DataFrame(
        {f"c{j}": listed(column) for j, column in enumerate(columns)}
    ).with_columns(pl.col(pl.String).cast(pl.Categorical)),
    "pyarrow": lambda columns: pa.table({f"c{j}": listed(column) for j, column in enumerate(columns)}),
}


def contain(columns, container):
    """Put columns into a container, or into rows if its library does not hold such values."""
    try:
        return CONTAINERS[container](columns)
    except Exception:  # pandas, polars and pyarrow raise what they like
        return CONTAINERS["rows"](columns)


def with_value(value):
    """A table that has this value in place of an id."""

    def change(columns, rng):
        rows = CONTAINERS["rows"](columns)
        rows[rng.integers(len(rows))][rng.integers(len(columns))] = value
        return rows

    return change


BAD_IDS = [
    None, float("nan"), float("inf"), np.datetime64("NaT", "s"), pd.NA, pd.NaT, 1j, object(), {1}, [1],
    decimal.Decimal(1), datetime.timedelta(1), 2**64, -(2**70), 10**400, fractions.Fraction(1, 3), np.array([1, 2]),
    "text", b"bytes", 7, np.datetime64("2020-01-01"), ZONES,
]  # fmt: skip
BAD_TABLES = [
    *map(with_value, BAD_IDS),
    *(lambda columns, rng, value=value: value for value in [None, 5, "text", b"bytes", object(), np.float64(1.0)]),
    lambda columns, rng: as_array(columns)[:, 0],
    lambda columns, rng: as_array(columns)[:, :1],
    lambda columns, rng: as_array(columns)[:0],
    lambda columns, rng: as_array(columns)[:, :0],
    lambda columns, rng: as_array(columns)[None],
    lambda columns, rng: as_array([*columns, columns[0]]),
    lambda columns, rng: np.array(7),
    lambda columns, rng: [],
    lambda columns, rng: [[]],
    lambda columns, rng: [[], [1, 2]],
    lambda columns, rng: [[1, 2], [3]],
    lambda columns, rng: [[1, 2], 3],
    lambda columns, rng: [{1, 2}, {3, 4}],
    lambda columns, rng: {(1, 2), (3, 4)},
    lambda columns, rng: {"user": [1], "item": [2]},
    lambda columns, rng: (row for row in [[1, 2]]),
    lambda columns, rng: map(list, [[1, 2]]),
    lambda columns, rng: np.ones((3, 2), dtype=complex),
    lambda columns, rng: np.ones(3, dtype=[("user", int), ("item", "U3")]),
    lambda columns, rng: np.ones((3, 2), dtype="m8[s]"),
    lambda columns, rng: np.ones((3, 2), dtype="V4"),
    lambda columns, rng: np.ma.masked_array(np.ones((3, 2)), np.eye(3, 2)),
    lambda columns, rng: sparse.csr_array(np.eye(3)),
    lambda columns, rng: sparse.coo_matrix(np.eye(3)),
    lambda columns, rng: pd.DataFrame(as_array(columns), columns=["same"] * len(columns)),
    lambda columns, rng: pd.DataFrame(as_array(columns)).rename(columns={0: "zero"}),
    lambda columns, rng: pd.DataFrame({"user": [1, None], "item": [1, 2]}),
    lambda columns, rng: pd.DataFrame({"user": pd.array([1, None], dtype="Int8"), "item": [1, 2]}),
    lambda columns, rng: pd.DataFrame({"user": [pd.Interval(0, 1)], "item": [pd.Period("2020-01")]}),
    lambda columns, rng: pd.DataFrame(),
    lambda columns, rng: pd.Series([1, 2]),
    lambda columns, rng: pl.DataFrame({"user": [1, None], "item": ["a", "b"]}),
    lambda columns, rng: pl.DataFrame({"user": [[1], [2]], "item": [{"a": 1}, {"a": 2}]}),
    lambda columns, rng: pl.DataFrame({"user": [1], "item": [2]}).lazy(),
    lambda columns, rng: pl.DataFrame(),
    lambda columns, rng: pa.table({"user": [1, None], "item": [2, 3]}),
    lambda columns, rng: pa.table({"user": [[1], [2]], "item": [2, 3]}),
    lambda columns, rng: memoryview(b"abcd"),
]


class Fields:
    """Hold the ids of the columns of a model, and make tables of them."""

    def __init__(self, choose, n_columns=None):
        self.choose = choose
        n_columns = n_columns or choose.pick([2, 2, 2, 3, 4])
        kinds = [self._kind() for _ in range(n_columns)]
        if choose.chance(0.4):
            kinds = kinds[:1] * n_columns
        self.levels = [LEVELS[kind](choose.integer(2, 7)) for kind in kinds]
        self.unknown = [LEVELS[kind](10)[len(levels) :] for kind, levels in zip(kinds, self.levels, strict=True)]
        self.container = choose.pick(list(CONTAINERS))

    def _kind(self):
        return self.choose.pick(COMMON if self.choose.chance(0.5) else list(LEVELS))

    def ids(self, j, n, unknown=False):
        """n ids of column j, as an array."""
        levels = self.levels[j]
        if unknown and len(self.unknown[j]):
            levels = np.concatenate([levels, self.unknown[j][:2]])
        return levels[self.choose.rng.integers(len(levels), size=n)]

    def columns(self, n_rows, unknown=False):
        return [self.ids(j, n_rows, unknown) for j in range(len(self.levels))]

    def table(self, n_rows, unknown=False):
        """A table as that of fit, in another container now and then; or a bad one."""
        columns = self.columns(n_rows, unknown)
        if self.choose.is_bad():
            with suppress(UnicodeEncodeError):  # pandas refuses lone surrogates by itself
                return self.choose.pick(BAD_TABLES)(columns, self.choose.rng)
        container = self.choose.pick(list(CONTAINERS)) if self.choose.chance(0.1) else self.container
        return contain(columns, container)

    def list_of_ids(self, j, n, unknown=False):
        """A list of ids of column j, in one of the types for it; or a bad one."""
        if self.choose.is_bad():
            return self.choose.pick(BAD_LISTS)(self.ids(j, n), self.choose.rng)
        return self.choose.pick(LISTS)(self.ids(j, n, unknown))


def or_list(convert):
    """Convert ids, or list them if the library does not hold such values."""

    def convert_if_possible(ids):
        try:
            return convert(ids)
        except Exception:
            return listed(ids)

    return convert_if_possible


LISTS = [
    lambda ids: listed(ids),
    lambda ids: tuple(ids),
    lambda ids: ids,
    lambda ids: ids[::-1],
    or_list(lambda ids: pd.Series(listed(ids), index=range(5, len(ids) + 5))),
    or_list(lambda ids: pd.Index(listed(ids))),
    or_list(lambda ids: pl.Series(listed(ids))),
    or_list(lambda ids: pa.array(listed(ids))),
    lambda ids: np.ma.masked_array(ids),
]
BAD_LISTS = [
    *(lambda ids, rng, value=value: [*listed(ids), value] for value in BAD_IDS),
    *(lambda ids, rng, value=value: value for value in [None, 5, "text", b"bytes", object(), np.array(3), 2.5]),
    lambda ids, rng: [],
    lambda ids, rng: set(listed(ids)),
    lambda ids, rng: (id_ for id_ in ids),
    lambda ids, rng: dict.fromkeys(listed(ids)),
    lambda ids, rng: ids[:, None],
    lambda ids, rng: [listed(ids)],
    lambda ids, rng: np.ones(len(ids), dtype=bool),
    lambda ids, rng: ids[:1],
    lambda ids, rng: pd.DataFrame({"a": [1]}),
    lambda ids, rng: pl.Series([1, None]),
    lambda ids, rng: sparse.csr_array(np.eye(2)),
    lambda ids, rng: np.ones(2, dtype=[("user", int)]),
    lambda ids, rng: np.array(["NaT", "2020"], dtype="M8[D]"),
    lambda ids, rng: bytearray(b"abc"),
]

RATINGS = [
    lambda rng, n: rng.integers(1, 6, n),
    lambda rng, n: rng.integers(1, 6, n).astype(float),
    lambda rng, n: rng.uniform(0, 5, n).astype(np.float32),
    lambda rng, n: rng.integers(1, 6, n).astype(np.float16),
    lambda rng, n: rng.integers(0, 6, n).astype(np.uint8),
    lambda rng, n: rng.integers(0, 2, n).astype(bool),
    lambda rng, n: rng.integers(1, 6, n).astype(">f8"),
    lambda rng, n: rng.uniform(0, 5, n).astype(np.longdouble),
    lambda rng, n: rng.uniform(1, 5, n).tolist(),
    lambda rng, n: objects(rng.integers(1, 6, n).tolist()),
    lambda rng, n: pd.Series(rng.integers(1, 6, n), index=rng.permutation(n)),
    lambda rng, n: pd.Series(rng.integers(1, 6, n), dtype="Int64"),
    lambda rng, n: pl.Series(rng.uniform(1, 5, n)),
    lambda rng, n: pa.array(rng.uniform(1, 5, n)),
    lambda rng, n: rng.integers(1, 6, (n, 1)),
    lambda rng, n: read_only(rng.uniform(1, 5, n)),
    lambda rng, n: np.repeat(rng.uniform(1, 5, n), 2)[::2],
    lambda rng, n: np.full(n, 3.5),
    lambda rng, n: rng.uniform(0, 1, n) * 1e-300,
    lambda rng, n: rng.uniform(0, 1, n) * 1e30,
    lambda rng, n: objects([fractions.Fraction(1, 3)] * n),
]
# Good unless counts are wanted.
SIGNED_RATINGS = [
    lambda rng, n: rng.normal(0, 2, n),
    lambda rng, n: rng.integers(-5, 6, n),
    lambda rng, n: rng.choice([-(2**63), 2**62], n),
]


def with_number(value):
    """Numbers with this one among them."""

    def change(rng, n):
        values = rng.integers(1, 6, n).astype(float).tolist()
        values[rng.integers(n)] = value
        return values

    return change


BAD_NUMBERS = [
    lambda rng, n: rng.uniform(0, 1, n) * 1e150,
    lambda rng, n: rng.choice([0.0, 1.0, 1e300], n),
    lambda rng, n: rng.choice([-1e308, 1e308], n),
    *map(with_number, [np.nan, np.inf, -np.inf, None, "text", "3", b"3", 1j, pd.NA, [1], {}, 10**400, DAY, object()]),
    lambda rng, n: rng.uniform(1, 5, n + 1),
    lambda rng, n: rng.uniform(1, 5, max(n - 1, 0)),
    lambda rng, n: rng.uniform(1, 5, (n, 2)),
    lambda rng, n: rng.uniform(1, 5, (1, n, 1)),
    lambda rng, n: [],
    lambda rng, n: "text",
    lambda rng, n: object(),
    lambda rng, n: (value for value in [1, 2]),
    lambda rng, n: {1, 2},
    lambda rng, n: {"a": 1},
    lambda rng, n: np.array([f"{value}" for value in range(n)]),
    lambda rng, n: np.ones(n, dtype=complex),
    lambda rng, n: np.ones(n, dtype="M8[D]"),
    lambda rng, n: np.ones(n, dtype="m8[D]"),
    lambda rng, n: np.ones(n, dtype=[("a", int)]),
    lambda rng, n: np.ma.masked_array(np.ones(n), np.arange(n) == 1),
    lambda rng, n: pd.Series([1] * (n - 1) + [None], dtype="Int64"),
    lambda rng, n: pl.Series([1.0] * (n - 1) + [None]),
    lambda rng, n: objects([10**400] * n),
    lambda rng, n: sparse.csr_array(np.ones((n, 1))),
    lambda rng, n: pd.DataFrame({"a": [1.0] * n, "b": [1.0] * n}),
]
WEIGHTS = [
    lambda rng, n: None,
    lambda rng, n: np.ones(n),
    lambda rng, n: rng.uniform(0.1, 2, n),
    lambda rng, n: rng.integers(1, 4, n),
    lambda rng, n: rng.uniform(0.1, 2, n).tolist(),
    lambda rng, n: np.where(np.arange(n) == 0, 1.0, rng.integers(0, 2, n)),
    lambda rng, n: rng.uniform(0.1, 2, n).astype(np.float32),
    lambda rng, n: np.ones(n, dtype=bool),
    lambda rng, n: rng.uniform(0.5, 1, n) * 1e300,
    lambda rng, n: rng.uniform(0.5, 1, n) * 1e-300,
    lambda rng, n: np.where(np.arange(n) % 2, 1e-30, 1e30),
    lambda rng, n: pd.Series(rng.uniform(0.1, 2, n)),
    lambda rng, n: pl.Series(rng.uniform(0.1, 2, n)),
    lambda rng, n: 2.0,
]
BAD_WEIGHTS = [*BAD_NUMBERS, lambda rng, n: -np.ones(n), lambda rng, n: np.zeros(n), lambda rng, n: -1.0]


def numbers(choose, n, signed=True):
    """Ratings, finite and one a row; or bad ones."""
    if choose.is_bad():
        return choose.pick(BAD_NUMBERS)(choose.rng, n)
    return choose.pick(RATINGS + SIGNED_RATINGS if signed else RATINGS)(choose.rng, n)


def weights(choose, n):
    """Weights or None; or bad ones."""
    return choose.pick(BAD_WEIGHTS if choose.is_bad() else WEIGHTS)(choose.rng, n)
