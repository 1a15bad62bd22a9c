"""Check that files read in batches have the rows that load_ratings reads, and that what is wrong is named."""

import csv
import gzip
import io
import os
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.batches import make_batches_small, put_together
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRanker, MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings, open_ratings
from sklearn_mf.model_selection import (
    GlobalTimeSplit,
    LeaveLastOut,
    PerUserShuffleSplit,
    WarmShuffleSplit,
    prequential_predict,
)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    make_batches_small(monkeypatch, 4, 60)


def write(folder, text, name="ratings.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_as_loaded(path, **options):
    """Ids, their types, ratings and names are those that load_ratings reads."""
    loaded = load_ratings(path, **options)
    opened = open_ratings(path, **options)
    X, y, weights, n_batches = put_together(opened)
    assert X.tolist() == loaded.data.tolist()
    assert [list(map(type, row)) for row in X.tolist()] == [list(map(type, row)) for row in loaded.data.tolist()]
    np.testing.assert_array_equal(y, loaded.target)
    assert opened.n_ratings == len(y)
    assert weights is None
    if opened.feature_names is not None:
        assert opened.feature_names == loaded.feature_names
    return n_batches


@pytest.mark.parametrize("sep", [",", "\t", "::", ";", "|", " ", ", ", "   "])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_layouts(tmp_path, sep, header, end, quoted, compressed):
    lines = [sep.join(["user", "film", "stars"])] * header
    lines += [sep.join([f"u{i % 7}", f'"{i} x"' if quoted and i % 5 == 0 else str(i), "4.5"]) for i in range(40)]
    lines[20:20] = ["", "  ", ""]
    data = (end.join(lines) + end).encode()
    path = write(tmp_path, gzip.compress(data) if compressed else data)
    assert check_as_loaded(path, sep=None if sep != "   " or not quoted else sep) > 5


cells = st.text(st.sampled_from('ab 12,;\t|"\n\r\\:é\ue000'), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells, st.integers(1, 5), cells), min_size=2, max_size=12),
    sep=st.sampled_from([",", ";", "\t", "|"]),
    written_as=st.sampled_from([",", "::"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_load_ratings_reads_is_read_in_batches_too(tmp_path_factory, rows, sep, written_as, end, quoting):
    rows = [(f"u{user}u", f"i{item}i", rating, text) for user, item, rating, text in rows]
    text = io.StringIO()
    csv.writer(text, delimiter=sep, lineterminator=end, quoting=quoting).writerows(rows)
    text = text.getvalue()
    if written_as == "::" and sep == ";":
        text, sep = text.replace(";", "::"), "::"
    path = write(tmp_path_factory.mktemp("csv"), text)
    try:
        load_ratings(path, sep=sep, header=False)
    except ValueError as error:
        with pytest.raises(ValueError) as of_batches:  # noqa: PT011
            open_ratings(path, sep=sep, header=False)
        assert str(of_batches.value) == str(error)  # noqa: PT017
        return
    check_as_loaded(path, sep=sep, header=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_the_whole_file_decides_on_its_encoding(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr("sklearn_mf.datasets._text._BYTES_OF_A_BLOCK", 7)
    text = "user,film,stars\n" + "ann,Alien,4\n" * 30 + "Zoë,Amélie,5\n"
    check_as_loaded(write(tmp_path, text.encode(encoding)))


def test_columns_are_ints_only_if_all_values_are(tmp_path):
    text = "".join(f"{i},{i},{i},3\n" for i in range(30)) + "007,31,-0,3\n"
    path = write(tmp_path, text)
    check_as_loaded(path, columns=[0, 1, 2, 3])
    X, *_ = put_together(open_ratings(path, columns=[0, 1, 2, 3]))
    assert X[0].tolist() == ["0", 0, "0"]


def test_weights(tmp_path):
    text = "user,film,stars,n\n" + "".join(f"u{i},{i},{i % 5},{i % 3}\n" for i in range(20))
    path = write(tmp_path, text)
    for weight in ("n", 3, np.int64(3)):
        _, y, weights, _ = put_together(open_ratings(path, weight=weight))
        np.testing.assert_array_equal(weights, np.arange(20) % 3)
        np.testing.assert_array_equal(y, np.arange(20) % 5)
    with pytest.raises(ValueError, match="weight='stars' is already used for ids or ratings"):
        open_ratings(path, weight="stars")
    with pytest.raises(ValueError, match="no column 'm' among"):
        open_ratings(path, weight="m")
    for weight in (1.5, True, b"n", [3]):
        with pytest.raises(TypeError, match="weight must be"):
            open_ratings(path, weight=weight)


GOOD = "u1,i1,3\n" * 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "u1,i1\n" + GOOD, "ratings.csv, line 21: 2 instead of 3 values"),
        (GOOD + "\n\nu1,i1,good\n" + GOOD, "line 23: the rating 'good' is not a finite number: 'u1,i1,good'.$"),
        (GOOD + "u1,i1,nan\n", "line 21: the rating 'nan' is not a finite number"),
        (GOOD + " ,i1,3\n" + GOOD, "line 21: an id is empty: ',i1,3'"),
        ('"u1",i1,3\n' + GOOD + "u1,,3\n", "line 22: an id is empty: 'u1,,3'"),
        (GOOD + '"u\n1",i1,3\nu1,i1,-\n', "line 23: the rating '-'"),
        (GOOD + '"u1,i1,3\n', "line 21: a quoted value does not end"),
        (GOOD.replace(",3", ",978300760"), "line 1: the ratings would be taken from column 2, which has times"),
        ("u1\\,i1,4,5\n" * 20, "line 1: a backslash before a quote or separator"),
        (GOOD + "\0", "cannot be read as text: it has NUL bytes"),
        ("", "has no ratings: it is empty"),
        ("\n\n", "has no ratings: it is empty"),
        ("user,item,rating\n", "has no ratings: it ends after the header"),
        ("rating,movieId,whose\n5,1,2\n", "the users would be taken from 'rating'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        open_ratings(path)
    with pytest.raises(ValueError, match=message):
        load_ratings(path)


def test_ratings_that_look_like_times_in_one_batch_alone(tmp_path):
    check_as_loaded(write(tmp_path, "u1,i1,978300760\n" * 10 + "u1,i1,3\n"))


def test_a_weight_that_is_none(tmp_path):
    for weight, message in [("-1", "line 21: the weight is below 0"), ("x", "line 21: the weight 'x' is not a finite")]:
        with pytest.raises(ValueError, match=message):
            open_ratings(write(tmp_path, "u1,i1,3,1\n" * 20 + f"u1,i1,3,{weight}\n"), weight=3)


def test_arguments_are_those_of_load_ratings(tmp_path):
    path = write(tmp_path, GOOD)
    for wrong in ({"path": None}, {"sep": 5}, {"header": "no"}, {"encoding": 5}):
        with pytest.raises(TypeError, match=f"{next(iter(wrong))} must be"):
            open_ratings(**{"path": path, **wrong})
    with pytest.raises(ValueError, match="at least three columns"):
        open_ratings(path, columns=[0, 1])
    with pytest.raises(FileNotFoundError):
        open_ratings(tmp_path / "nothing.csv")
    with pytest.raises(OSError, match="is damaged"):
        open_ratings(write(tmp_path, gzip.compress(GOOD.encode())[:-20]))


def test_a_file_that_changes_its_kind_of_ids(tmp_path):
    path = write(tmp_path, "1,2,3\n" * 20)
    ratings, before = open_ratings(path), path.stat().st_mtime_ns
    write(tmp_path, "1,2,3\n" * 19 + "1,x,3\n")
    os.utime(path, ns=(before, before))  # as on a file system whose times are coarse
    with pytest.raises(ValueError, match=r"has changed since it was opened: column 1 had only ints before"):
        list(ratings.batches())


FRAME = pd.DataFrame(
    {
        "user": [f"u{i % 7}" for i in range(30)],
        "week": pd.date_range("2020-01-01", periods=30, tz="UTC"),
        "item": np.arange(30, dtype=np.int32) % 11,
        "stars": np.arange(30) % 5,
        "n": np.arange(30) % 3 + 0.5,
    }
)


def write_parquet(path, frame=FRAME, **options):
    pq.write_table(pa.Table.from_pandas(frame), path, **options)
    return path


def test_parquet(tmp_path):
    path = write_parquet(tmp_path / "ratings.parquet", row_group_size=9)
    ratings = open_ratings(path, weight="n")
    X, y, weights, n_batches = put_together(ratings)
    assert X.tolist() == FRAME[["user", "item"]].to_numpy(dtype=object).tolist()
    np.testing.assert_array_equal(y, FRAME["stars"])
    np.testing.assert_array_equal(weights, FRAME["n"])
    assert ratings.feature_names == ["user", "item"]
    assert n_batches > 7
    assert repr(ratings) == f"RatingsFile({str(path)!r}, 30 ratings)"
    by_name = open_ratings(path, columns=["user", "item", "week", "n"])
    assert put_together(by_name)[1].tolist() == FRAME["n"].tolist()
    assert next(by_name.batches()).columns[2].has_zone


def test_a_folder_of_parquet_files_in_the_order_of_their_names(tmp_path):
    (tmp_path / "b").mkdir()
    write_parquet(tmp_path / "b" / "0.parquet", FRAME[20:])
    write_parquet(tmp_path / "a1.parquet", FRAME[:10])
    write_parquet(tmp_path / "a2.pq", FRAME[10:20])
    write(tmp_path, "no ratings", "_metadata.parquet")
    for folder in ("_temporary/0", "_delta_log", ".staging", "b/_unfinished"):
        (tmp_path / folder).mkdir(parents=True)
        write_parquet(tmp_path / folder / "0.parquet")
    write(tmp_path, "no ratings", "readme.txt")
    ratings = open_ratings(tmp_path)
    X, y, *_ = put_together(ratings)
    assert X[:, 0].tolist() == FRAME["user"].tolist()
    np.testing.assert_array_equal(y, FRAME["stars"])
    assert ratings.n_ratings == 30


def test_a_folder_within_a_hidden_one(tmp_path):
    (tmp_path / "_ours" / ".here").mkdir(parents=True)
    write_parquet(tmp_path / "_ours" / ".here" / "0.parquet")
    assert open_ratings(tmp_path / "_ours" / ".here").n_ratings == 30


@pytest.mark.parametrize("columns", [None, ["user", "item", "stars"]])
@pytest.mark.parametrize("kept", [["user", "item"], ["user", "item", "week"], ["user", "item", "n"]])
def test_columns_in_names_of_folders_are_not_read(tmp_path, columns, kept):
    FRAME[[*kept, "stars"]].to_parquet(tmp_path / "ratings", partition_cols=["stars"])
    message = r"Columns in the names of folders are not read: \['stars'\]. Write the files with all columns"
    with pytest.raises(ValueError, match=message):
        open_ratings(tmp_path / "ratings", columns=columns)


def test_other_columns_in_names_of_folders_do_not_matter(tmp_path):
    FRAME.assign(year=2020).to_parquet(tmp_path / "ratings", partition_cols=["year"])
    assert open_ratings(tmp_path / "ratings").n_ratings == 30
    (tmp_path / "ratings" / "stars=5").mkdir()
    write_parquet(tmp_path / "ratings" / "stars=5" / "0.parquet")
    assert open_ratings(tmp_path / "ratings").n_ratings == 60


def test_parquet_without_its_suffix_and_other_types(tmp_path):
    frame = FRAME.assign(stars=[Decimal(i) / 2 for i in range(30)], user=FRAME["user"].astype("category"))
    path = write_parquet(tmp_path / "ratings.dat", frame)
    X, y, *_ = put_together_categories(open_ratings(path))
    assert X.tolist() == FRAME["user"].tolist()
    np.testing.assert_array_equal(y, np.arange(30) / 2)


def put_together_categories(ratings):
    values = [batch.columns[0].values for batch in ratings.batches()]
    return (
        np.concatenate([value.categories[value.codes] for value in values]),
        np.concatenate([b.y for b in ratings.batches()]),
    )


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            {"user": [*FRAME["user"][:29], None]},
            {},
            r"row 29: an id is missing, NaN or infinite in column 0 \('user'\)",
        ),
        ({"item": [*np.arange(29.0), np.inf]}, {}, r"row 29: an id is missing, NaN or infinite in column 1 \('item'\)"),
        ({"stars": [*range(29), None]}, {}, "row 29: the rating in column 'stars' is missing, NaN or infinite"),
        ({"n": [*range(29), -1]}, {"weight": "n"}, "row 29: the weight in column 'n' is below 0"),
    ],
)
def test_wrong_rows_of_parquet_are_named(tmp_path, change, options, message):
    path = write_parquet(tmp_path / "ratings.parquet", FRAME.assign(**change))
    ratings = open_ratings(path, **options)
    with pytest.raises(ValueError, match=message):
        list(ratings.batches())


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("stars", ["4"] * 30, "(large_)?string"),
        ("stars", FRAME["week"], "timestamp"),
        ("stars", pd.Categorical(["4"] * 30), "dictionary"),
        ("n", ["1"] * 30, "(large_)?string"),
    ],
)
def test_parquet_of_ratings_that_are_no_numbers_is_not_opened(tmp_path, column, values, kind):
    write_parquet(tmp_path / "a.parquet")
    write_parquet(tmp_path / "b.parquet", FRAME.assign(**{column: values}))
    what = "ratings" if column == "stars" else "weights"
    message = (
        rf"b.parquet: column '{column}', the {what}, is not numeric but {kind}.*"
        rf"table\['{column}'\] = table\['{column}'\].astype\(float\)"
    )
    with pytest.raises(ValueError, match=message):
        open_ratings(tmp_path, weight="n")


def test_parquet_of_ratings_that_are_bools(tmp_path):
    path = write_parquet(tmp_path / "ratings.parquet", FRAME.assign(stars=[True, False] * 15))
    assert put_together(open_ratings(path))[1].tolist() == [1.0, 0.0] * 15


def test_messages_of_parquet_speak_of_no_lines(tmp_path):
    with pytest.raises(
        ValueError, match=r"no column 2 .* among the 2 columns .*A file needs a user, an item and a rating, "
    ):
        open_ratings(write_parquet(tmp_path / "two.parquet", FRAME[["user", "item"]]))
    with pytest.raises(ValueError, match=r"no column 9 .* among the 5 columns .*each in its own column.$") as raised:
        open_ratings(write_parquet(tmp_path / "ratings.parquet"), columns=[0, 1, 9])
    assert "sep" not in str(raised.value)
    assert "line" not in str(raised.value)


def test_several_files_and_those_of_other_machines(tmp_path):
    paths = [write_parquet(tmp_path / f"{name}.parquet") for name in "ab"]
    advice = "To read several Parquet files, give their folder"
    with pytest.raises(FileNotFoundError, match=advice):
        open_ratings(tmp_path / "*.parquet")
    with pytest.raises(FileNotFoundError, match=advice):
        open_ratings(f"{tmp_path}/[ab].pq")
    for several in (paths, tuple(paths), set(paths)):
        with pytest.raises(
            TypeError, match=f"path must be one str or path-like, not {type(several).__name__}. {advice}"
        ):
            open_ratings(several)
    assert open_ratings(write_parquet(tmp_path / "[a].parquet")).n_ratings == 30
    for reader in (open_ratings, load_ratings):
        for path in ("s3://bucket/x", "s3://bucket/x.parquet", "https://server/ratings.csv", "file:///ratings.csv"):
            with pytest.raises(
                ValueError, match=rf"path='{path}' is a URL.* must be the path of a file on this machine"
            ):
                reader(path)


def test_only_load_ratings_speaks_of_its_argument_time(tmp_path):
    header = "rating,movieId,whose\n5,1,2\n"
    unclear, times = write(tmp_path, header, "a.csv"), write(tmp_path, GOOD.replace(",3", ",978300760"), "b.csv")
    parquet = write_parquet(tmp_path / "a.parquet", pd.DataFrame({"rating": [5], "movieId": [1], "whose": [2]}))
    for path in (unclear, times, parquet):
        with pytest.raises(ValueError, match="would be taken from") as raised:
            open_ratings(path)
        assert "set time" not in str(raised.value)
    for path in (unclear, times):
        with pytest.raises(ValueError, match="For times, set time"):
            load_ratings(path)


def test_parquet_that_cannot_be_opened(tmp_path):
    path = write_parquet(tmp_path / "ratings.parquet")
    for name, value in [("sep", ","), ("header", True), ("encoding", "utf-8")]:
        with pytest.raises(ValueError, match=f"{name} is for text files"):
            open_ratings(path, **{name: value})
    with pytest.raises(ValueError, match=r"ratings.parquet: no column 'x' among"):
        open_ratings(path, columns=["user", "item", "x"])
    with pytest.raises(ValueError, match="has no ratings: it has no rows"):
        open_ratings(write_parquet(tmp_path / "none.parquet", FRAME[:0]))
    with pytest.raises(ValueError, match=r"damaged.parquet cannot be read as Parquet"):
        open_ratings(write(tmp_path, "user,item,rating\n", "damaged.parquet"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty has no Parquet files"):
        open_ratings(tmp_path / "empty")
    write_parquet(tmp_path / "empty" / "a.parquet")
    write_parquet(tmp_path / "empty" / "b.parquet", FRAME.rename(columns={"user": "person"}))
    with pytest.raises(ValueError, match=r"b.parquet has no column 'user', but .*a.parquet has it"):
        open_ratings(tmp_path / "empty")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "ratings.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r'pip install "sklearn-mf\[parquet\]"'):
        open_ratings(path)
    open_ratings(write(tmp_path, GOOD))


def regressor(**parameters):
    return MatrixFactorizationRegressor(rank=2, max_iter=1, random_state=0, **parameters)


def fitted():
    return regressor().fit([["u1", "i1"], ["u2", "i1"]], [1, 2])


TIMES = np.arange(20)
USES = {
    "len": lambda X, y: np.asarray(X),
    "shape": lambda X, y: X.shape,
    "train_test_split": lambda X, y: train_test_split(X, y),
    "train_test_split alone": lambda X, y: train_test_split(X),
    "KFold": lambda X, y: list(KFold(2).split(X)),
    "cross_val_score": lambda X, y: cross_val_score(regressor(), X, y),
    "cross_val_score alone": lambda X, y: cross_val_score(regressor(), X),
    "GridSearchCV": lambda X, y: GridSearchCV(regressor(), {"rank": [1]}).fit(X, y),
    "GridSearchCV alone": lambda X, y: GridSearchCV(regressor(), {"rank": [1]}).fit(X),
    "PerUserShuffleSplit": lambda X, y: list(PerUserShuffleSplit().split(X, y)),
    "PerUserShuffleSplit alone": lambda X, y: list(PerUserShuffleSplit().split(X)),
    "WarmShuffleSplit": lambda X, y: list(WarmShuffleSplit().split(X)),
    "LeaveLastOut": lambda X, y: list(LeaveLastOut(times=TIMES).split(X)),
    "GlobalTimeSplit": lambda X, y: list(GlobalTimeSplit(times=TIMES).split(X)),
    "prequential_predict": lambda X, y: prequential_predict(fitted(), X, y),
    "predict": lambda X, y: fitted().predict(X),
    "predict with deviations": lambda X, y: fitted().predict(X, return_std=True),
    "explain": lambda X, y: fitted().explain(X),
    "score": lambda X, y: fitted().score(X, y),
    "recommend": lambda X, y: fitted().recommend(X),
    "exclude": lambda X, y: fitted().recommend(["u1"], exclude=X),
    "recommend_from": lambda X, y: fitted().recommend_from(X, y),
    "partial_fit": lambda X, y: fitted().partial_fit(X, y),
    "first partial_fit": lambda X, y: regressor().partial_fit(X, y),
    "fold_in": lambda X, y: fitted().fold_in(X, y),
    "X_val": lambda X, y: regressor(early_stopping=True).fit([["a", "b"], ["c", "d"]], [1, 2], X_val=X, y_val=y),
    "X_val alone": lambda X, y: regressor(early_stopping=True).fit([["a", "b"], ["c", "d"]], [1, 2], X_val=X),
    "X_val without early stopping": lambda X, y: regressor().fit([["a", "b"], ["c", "d"]], [1, 2], X_val=X),
    "X_val of a file": lambda X, y: regressor(early_stopping=True).fit(X, X_val=X),
    "ranker": lambda X, y: MatrixFactorizationRanker().fit(X, y),
    "ranker alone": lambda X, y: MatrixFactorizationRanker().fit(X),
    "encoder": lambda X, y: MatrixFactorizationEncoder().fit(X, y),
    "encoder in folds": lambda X, y: MatrixFactorizationEncoder().fit_transform(X, y),
}


@pytest.mark.parametrize("use", USES)
def test_it_is_no_table(tmp_path, use):
    ratings = open_ratings(write(tmp_path, GOOD))
    with pytest.raises(TypeError, match=r"RatingsFile\(.*ratings.csv', 20 ratings\) is not a table\. .*load_ratings"):
        USES[use](ratings, np.arange(20.0))


def test_a_file_to_stop_by_is_told_what_to_give(tmp_path):
    ratings = open_ratings(write(tmp_path, GOOD))
    with pytest.raises(TypeError, match=r"is not a table. Load the file with load_ratings"):
        regressor(early_stopping=True).fit(ratings, X_val=ratings)
