"""Check that MovieLens is read from archives and folders on disk."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.movielens_files import (
    ARCHIVES,
    FILES,
    FILMS,
    HALF_ROWS,
    ROWS,
    USERS,
    files_below,
    lines,
    put_archive,
    unpack,
    zipped,
)
from helpers.paths import REAL_DATA
from sklearn.datasets import get_data_home

from sklearn_mf.datasets import _movielens, _movielens_reading, fetch_movielens, load_ratings

# What is read


@pytest.mark.parametrize("variant", FILES)
def test_each_variant_is_read_from_its_archive(tmp_path, variant):
    put_archive(tmp_path, variant)
    ratings = fetch_movielens(variant, data_home=tmp_path, download_if_missing=False)
    rows = ROWS if variant in ("100k", "1m") else HALF_ROWS
    assert ratings.data.dtype == ratings.times.dtype == np.int64
    assert ratings.target.dtype == np.float64
    assert ratings.data.flags.c_contiguous
    assert [
        (*pair, r, t) for pair, r, t in zip(ratings.data.tolist(), ratings.target, ratings.times, strict=True)
    ] == rows
    assert ratings.feature_names == ["user", "item"]
    movies = ratings.movies
    assert movies.id.dtype == np.int64
    assert movies.title.dtype == movies.genres.dtype == object
    assert list(zip(movies.id, movies.title, movies.genres, strict=True)) == FILMS
    assert dict(zip(movies.id, movies.title, strict=True))[500] == "A::B (1962)"
    if variant in ("100k", "1m"):
        users = ratings.users
        assert list(zip(users.id, users.gender, users.age, users.occupation, users.zip, strict=True)) == USERS
        assert users.id.dtype == users.age.dtype == np.int64
    else:
        assert ratings.users is None
    assert ratings.frame is None
    assert f"MovieLens {variant}: {len(rows)} ratings" in ratings.DESCR
    assert "no commercial use" in ratings.DESCR
    assert "Harper" in ratings.DESCR


@pytest.mark.parametrize("variant", FILES)
@pytest.mark.parametrize("below", ["", "movielens"])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_unpacked_folder_will_do(tmp_path, variant, below, compressed):
    files = {
        f"{name}.gz" if compressed else name: gzip.compress(d) if compressed else d
        for name, d in FILES[variant].items()
    }
    unpack(tmp_path / below, files)
    put_archive(tmp_path, variant)
    expected = fetch_movielens(variant, data_home=tmp_path)
    (tmp_path / f"ml-{variant}.zip").unlink()
    ratings = fetch_movielens(variant, data_home=str(tmp_path), download_if_missing=False)
    np.testing.assert_array_equal(ratings.data, expected.data)
    np.testing.assert_array_equal(ratings.times, expected.times)
    np.testing.assert_array_equal(ratings.movies.title, expected.movies.title)


def test_the_folder_of_10m_may_be_named_like_its_archive(tmp_path):
    unpack(tmp_path, {name.replace("ml-10M100K", "ml-10m"): data for name, data in FILES["10m"].items()})
    assert fetch_movielens("10m", data_home=tmp_path).target.tolist() == [3.5, 1.0, 0.5, 5.0]


@pytest.mark.parametrize("variant", ["100k", "10m", "25m"])
def test_files_without_times(tmp_path, variant):
    layout = _movielens.LAYOUTS[variant]
    sep = layout.sep.decode()
    rows = [(u, i, f"{r:g}") for u, i, r, _ in (ROWS if variant == "100k" else HALF_ROWS)]
    header = [("userId", "movieId", "rating")] * layout.header
    unpack(tmp_path, {f"ml-{variant}/{layout.ratings}": lines(header + rows, sep).encode()})
    ratings = fetch_movielens(variant, data_home=tmp_path)
    assert ratings.times is None
    assert ratings.movies is None
    assert ratings.users is None
    assert [(*pair, f"{r:g}") for pair, r in zip(ratings.data.tolist(), ratings.target, strict=True)] == rows
    as_frame = fetch_movielens(variant, data_home=tmp_path, as_frame=True)
    assert list(as_frame.frame.columns) == ["user", "item", "rating"]
    assert as_frame.times is None


@pytest.mark.parametrize(
    ("variant", "names"), [("1m", ["ml-1m"]), ("10m", ["ml-10m", "ml-10M100K"]), ("25m", ["ml-25m"])]
)
def test_data_home_may_be_the_unpacked_folder_itself(tmp_path, monkeypatch, variant, names):
    layout = _movielens.LAYOUTS[variant]
    for name in names:
        unpack(tmp_path, {file.replace(layout.folder, name): data for file, data in FILES[variant].items()})
        expected = fetch_movielens(variant, data_home=tmp_path)
        for home in (tmp_path / name, f"{tmp_path / name}/", "."):
            monkeypatch.chdir(tmp_path / name)
            ratings = fetch_movielens(variant, data_home=home, download_if_missing=False)
            np.testing.assert_array_equal(ratings.data, expected.data)
            np.testing.assert_array_equal(ratings.movies.title, expected.movies.title)


def test_data_home_of_another_name_is_not_taken_for_the_unpacked_folder(tmp_path):
    unpack(tmp_path, {name.replace("ml-25m", "ml-20m"): data for name, data in FILES["25m"].items()})
    with pytest.raises(OSError, match="Data not found"):
        fetch_movielens("25m", data_home=tmp_path / "ml-20m", download_if_missing=False)


def test_looking_creates_no_folder(tmp_path):
    with pytest.raises(OSError, match="Data not found"):
        fetch_movielens("1m", data_home=tmp_path / "new" / "home", download_if_missing=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [None, "~/data"])
@pytest.mark.parametrize("variable", [None, "elsewhere", "~/elsewhere"])
def test_the_folder_looked_in_is_that_of_scikit_learn(tmp_path, monkeypatch, given, variable):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    if variable is None:
        monkeypatch.delenv("SCIKIT_LEARN_DATA", raising=False)
    else:
        monkeypatch.setenv("SCIKIT_LEARN_DATA", variable)
    put_archive(Path(get_data_home(given)), "1m")
    assert len(fetch_movielens("1m", data_home=given, download_if_missing=False).target) == 3


def test_films_may_be_in_utf_8_or_latin_1_in_every_variant(tmp_path):
    files = FILES["1m"]
    as_utf8 = {**files, "ml-1m/movies.dat": files["ml-1m/movies.dat"].decode("latin-1").encode()}
    for made in (files, as_utf8):
        unpack(tmp_path, made)
        assert fetch_movielens("1m", data_home=tmp_path).movies.title[0] == FILMS[0][1]


@pytest.mark.parametrize("block", [1, 10, 47, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_blocks_meet_at_the_ends_of_lines(tmp_path, monkeypatch, block, end, last):
    monkeypatch.setattr(_movielens_reading, "_BLOCK_BYTES", block)
    rng = np.random.default_rng(0)
    rows = [
        (*map(int, rng.integers(0, 10 ** rng.integers(1, 13), 2)), f"{rng.integers(0, 11) / 2:g}") for _ in range(40)
    ]
    text = lines(rows, end=end)
    unpack(tmp_path, {"ml-10m/ratings.dat": (text if last else text.removesuffix(end)).encode()})
    X, y = fetch_movielens("10m", data_home=tmp_path, return_X_y=True)
    expected = load_ratings(tmp_path / "ml-10m" / "ratings.dat")
    np.testing.assert_array_equal(X, expected.data)
    np.testing.assert_array_equal(y, expected.target)


@pytest.mark.parametrize(
    "wrong",
    [
        "1::2",
        "1::2::3::4::5",
        "1::2::::4",
        "::2::3::4",
        "1::2::3.25::4",
        "1::2::3.::4",
        "1::2.0::3::4",
        "1::2::3::4.5",
        "1.5::2::3::4",
        "1::x::3::4",
        "-1::2::3::4",
        "1::2::nan::4",
        "1::2::1e3::4",
        "1:2::3::4",
        "1::2:: 3::4",
        "1::2\r2::3",
        "1::99999999999999999999::3::4",
        "",
        '"1"::2::3::4',
    ],
)
@pytest.mark.parametrize("block", [1, 2**24])
def test_a_wrong_line_is_named(tmp_path, monkeypatch, wrong, block):
    monkeypatch.setattr(_movielens_reading, "_BLOCK_BYTES", block)
    unpack(tmp_path, {"ml-10m/ratings.dat": f"1::2::3.5::4\n1::2::3::4\n{wrong}\n5::6::1::8\n".encode()})
    with pytest.raises(
        ValueError, match=r"ratings.dat, line 3: .* must be 4 numbers with '::' between them: ids of user and item"
    ):
        fetch_movielens("10m", data_home=tmp_path)


@pytest.mark.parametrize(
    ("header", "n", "wrong"),
    [
        ("userId,movieId,rating,timestamp", 4, "1,2,3.0,4,5"),
        ("userId,movieId,rating,timestamp", 4, ""),
        ("userId,movieId,rating,timestamp", 4, "1,2,3.0"),
        ("userId,movieId,rating", 3, "1,2,3.0,4"),
        ("userId,movieId,rating", 3, ""),
    ],
)
def test_the_header_says_how_many_values_a_line_has(tmp_path, header, n, wrong):
    unpack(tmp_path, {"ml-25m/ratings.csv": f"{header}\n{wrong}\n{wrong}\n".encode()})
    with pytest.raises(
        ValueError, match=rf"ratings.csv, line 2: '{wrong}' must be {n} numbers with ',' between them"
    ) as error:
        fetch_movielens("25m", data_home=tmp_path)
    assert ("a time in seconds" in str(error.value)) == (n == 4)


@pytest.mark.parametrize("wrong", ["", "1::2", "1::2::3::4::5"])
def test_without_a_header_a_wrong_first_line_is_named(tmp_path, wrong):
    unpack(tmp_path, {"ml-1m/ratings.dat": f"{wrong}\n1::2::3::4\n".encode()})
    with pytest.raises(ValueError, match=rf"ratings.dat, line 1: '{wrong}' must be 4 numbers with '::' between them"):
        fetch_movielens("1m", data_home=tmp_path)


@pytest.mark.parametrize(
    ("variant", "name", "text"),
    [
        ("25m", "movies.csv", ""),
        ("25m", "movies.csv", "movieId,title,genres\r\n"),
        ("1m", "movies.dat", ""),
        ("100k", "u.item", ""),
    ],
)
@pytest.mark.parametrize("as_frame", [False, True])
def test_a_file_without_films_is_an_empty_table(tmp_path, variant, name, text, as_frame):
    unpack(tmp_path, {**FILES[variant], f"ml-{variant}/{name}": text.encode()})
    movies = fetch_movielens(variant, data_home=tmp_path, as_frame=as_frame).movies
    assert [(len(movies[key]), movies[key].dtype) for key in ("id", "title", "genres")] == [
        (0, np.int64),
        (0, object),
        (0, object),
    ]


@pytest.mark.parametrize(("variant", "name"), [("1m", "users.dat"), ("100k", "u.user")])
def test_a_file_without_users_is_an_empty_table(tmp_path, variant, name):
    unpack(tmp_path, {**FILES[variant], f"ml-{variant}/{name}": b""})
    users = fetch_movielens(variant, data_home=tmp_path).users
    assert {key: len(column) for key, column in users.items()} == dict.fromkeys(
        ["id", "age", "gender", "occupation", "zip"], 0
    )
    assert users.id.dtype == users.age.dtype == np.int64


def test_other_columns_are_refused(tmp_path):
    unpack(tmp_path, {"ml-25m/ratings.csv": b"movieId,userId,rating\n1,2,3.0\n"})
    with pytest.raises(ValueError, match=r"ratings.csv, line 1: 'movieId,userId,rating' instead of 'userId,movieId"):
        fetch_movielens("25m", data_home=tmp_path)
    unpack(tmp_path, {"ml-25m/ratings.csv": b"userId,movieId,rating\n"})
    with pytest.raises(ValueError, match="has no ratings"):
        fetch_movielens("25m", data_home=tmp_path)


@pytest.mark.parametrize(
    ("variant", "name", "text", "what"),
    [
        ("1m", "movies.dat", "1::A\n", "films"),
        ("1m", "movies.dat", "1\n", "films"),
        ("25m", "movies.csv", "movieId,title,genres\nx,A,B\n", "films"),
        ("100k", "u.item", "1|A\n2\n", "films"),
        ("100k", "u.user", "1|20|M|writer\n", "users"),
    ],
)
def test_tables_that_cannot_be_read_are_named(tmp_path, variant, name, text, what):
    unpack(tmp_path, {**FILES[variant], f"ml-{variant}/{name}": text.encode()})
    with pytest.raises(ValueError, match=rf"{name} cannot be read as a table of {what}"):
        fetch_movielens(variant, data_home=tmp_path)


def test_a_row_of_another_length_is_shown(tmp_path):
    unpack(tmp_path, {**FILES["25m"], "ml-25m/movies.csv": b"movieId,title,genres\n1,A,War\n2,B\n"})
    with pytest.raises(ValueError, match=r"movies.csv cannot be .* films: \['2', 'B'\] has 2 values instead of 3\.$"):
        fetch_movielens("25m", data_home=tmp_path)


def test_as_frame(tmp_path):
    pandas = pytest.importorskip("pandas")
    put_archive(tmp_path, "1m")
    ratings = fetch_movielens("1m", data_home=tmp_path, as_frame=True)
    expected = pandas.DataFrame(ROWS, columns=["user", "item", "rating", "time"])
    pandas.testing.assert_frame_equal(ratings.frame, expected)
    pandas.testing.assert_frame_equal(ratings.data, expected[["user", "item"]])
    pandas.testing.assert_series_equal(ratings.target, expected["rating"])
    pandas.testing.assert_series_equal(ratings.times, expected["time"])
    assert pandas.to_datetime(ratings.times, unit="s").dt.year.tolist() == [2001, 2001, 2001]
    assert list(ratings.movies.columns) == ["id", "title", "genres"]
    assert list(map(tuple, ratings.movies.to_numpy())) == FILMS
    assert ratings.users.set_index("id").loc[3, "zip"] == "V1K2N"
    assert dict(zip(ratings.movies.id, ratings.movies.title, strict=True))[70] == "Nothing Known (1950)"
    X, y = fetch_movielens("1m", data_home=tmp_path, as_frame=True, return_X_y=True)
    pandas.testing.assert_frame_equal(X, ratings.data)
    pandas.testing.assert_series_equal(y, ratings.target)


def test_as_frame_without_pandas_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="as_frame=True needs pandas: pip install pandas"):
        fetch_movielens("1m", data_home=tmp_path, as_frame=True)


def test_only_pairs_and_ratings(tmp_path):
    put_archive(tmp_path, "latest-small")
    X, y = fetch_movielens(data_home=tmp_path, return_X_y=True)
    assert X.tolist() == [[u, i] for u, i, *_ in HALF_ROWS]
    assert y.tolist() == [3.5, 1.0, 0.5, 5.0]


# Bad input


@pytest.mark.parametrize(
    ("variant", "meant"),
    [
        ("ml-100k", "100k"),
        ("100K", "100k"),
        ("ML-1M", "1m"),
        ("ml-latest-small", "latest-small"),
        ("ml-5m", None),
        ("latest", None),
        (None, None),
        (["1m"], None),
    ],
)
def test_an_unknown_variant_gets_the_names_of_those_there_are(variant, meant):
    with pytest.raises(
        ValueError, match=r"variant=.* must be one of '100k', '1m', '10m', '20m', '25m', '32m', 'latest-small'\."
    ) as error:
        fetch_movielens(variant)
    assert str(error.value).partition("small'. ")[2] == (f"Did you mean {meant!r}?" if meant else "")


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"n_retries": -1}, ValueError, "n_retries == -1, must be >= 0"),
        ({"n_retries": 1.5}, TypeError, "n_retries must be an instance of int"),
        ({"delay": -1.0}, ValueError, "delay == -1.0, must be >= 0"),
    ],
)
def test_bad_parameters(tmp_path, bad, error, message):
    with pytest.raises(error, match=message):
        fetch_movielens("1m", data_home=tmp_path, **bad)


def test_a_damaged_archive_on_disk_is_named(tmp_path):
    damaged = bytearray(ARCHIVES["1m"])
    damaged[60] ^= 255
    for data in (b"no zip", ARCHIVES["1m"][:-30], bytes(damaged)):
        (tmp_path / "ml-1m.zip").write_bytes(data)
        with pytest.raises(OSError, match=r"ml-1m.zip is damaged: .* Remove it. The next call downloads it again"):
            fetch_movielens("1m", data_home=tmp_path)
    unpack(tmp_path, {"movielens/ml-1m/ratings.dat.gz": gzip.compress(b"1::2::3\n" * 99)[:-10]})
    (tmp_path / "ml-1m.zip").unlink()
    with pytest.raises(OSError, match=r"ml-1m.ratings\.dat\.gz is damaged"):
        fetch_movielens("1m", data_home=tmp_path)


def test_an_archive_of_something_else_is_named(tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(ARCHIVES["100k"])
    with pytest.raises(OSError, match=r"ml-1m.zip has no ml-1m/ratings.dat"):
        fetch_movielens("1m", data_home=tmp_path)


def test_an_archive_is_only_read_never_unpacked(tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(zipped({"../escaped.txt": b"x", **FILES["1m"]}))
    fetch_movielens("1m", data_home=tmp_path)
    assert files_below(tmp_path.parent / tmp_path.name) == ["ml-1m.zip"]
    assert not (tmp_path.parent / "escaped.txt").exists()


# Real files, where they are on this machine


@pytest.mark.parametrize(
    ("variant", "n_ratings", "n_movies", "n_users"),
    [("100k", 100_000, 1_682, 943), ("1m", 1_000_209, 3_883, 6_040), ("latest-small", 100_836, 9_742, None)],
)
def test_real_files(real_ratings, variant, n_ratings, n_movies, n_users):
    X, y = real_ratings(f"ml-{variant}")
    ratings = fetch_movielens(variant, data_home=REAL_DATA, download_if_missing=False)
    np.testing.assert_array_equal(ratings.data, X)
    np.testing.assert_array_equal(ratings.target, y)
    assert len(y) == n_ratings
    assert len(ratings.movies.id) == n_movies
    assert set(np.unique(X[:, 1])) <= set(ratings.movies.id)
    assert dict(zip(ratings.movies.id, ratings.movies.title, strict=True))[1] == "Toy Story (1995)"
    assert n_users is None or len(ratings.users.id) == n_users
    assert ratings.times is None or ratings.times.min() > 789_652_000  # 1995
