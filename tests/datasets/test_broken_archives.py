"""Check that broken, encrypted and exploding files are OSErrors that cost little, and that messages are short."""

import gzip
import tracemalloc

import pytest
from helpers.broken_archives import BROKEN, RATINGS, bomb, gzip_bomb
from helpers.movielens_files import ARCHIVES, FILES, files_below, unpack, zipped

from sklearn_mf.datasets import (
    _movielens_reading,
    _unpack,
    fetch_movielens,
    load_ratings,
    pairs_from_sparse,
    pairs_to_sparse,
)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_archive_is_an_oserror_that_names_it(tmp_path, kind):
    path = tmp_path / "ml-1m.zip"
    path.write_bytes(BROKEN[kind])
    with pytest.raises(OSError, match=r"ml-1m.zip (is damaged|has no ).*Remove it. The next call downloads it again"):
        fetch_movielens("1m", data_home=tmp_path)
    assert path.exists()  # it is the caller's


@pytest.mark.parametrize("place", range(0, len(ARCHIVES["1m"]), 3))
def test_any_byte_may_be_wrong(tmp_path, place):
    data = bytearray(ARCHIVES["1m"])
    data[place] ^= 0x55
    (tmp_path / "ml-1m.zip").write_bytes(bytes(data))
    try:
        fetch_movielens("1m", data_home=tmp_path)
    except OSError as error:
        assert "ml-1m.zip" in str(error)  # noqa: PT017


GZIPPED = gzip.compress(b"1::2::3\n" * 99, mtime=0)


@pytest.mark.parametrize(
    "data", [GZIPPED[:-10], GZIPPED[:-4] + b"oops", GZIPPED[:12] + b"\0\0" + GZIPPED[14:], GZIPPED[:3]]
)
def test_a_broken_gzip_file_is_an_oserror_that_names_it(tmp_path, data):
    unpack(tmp_path, {"ml-1m/ratings.dat.gz": data})
    with pytest.raises(OSError, match=r"ratings.dat.gz is damaged: "):
        fetch_movielens("1m", data_home=tmp_path)
    with pytest.raises(OSError, match=r"ratings.dat.gz is damaged: "):
        load_ratings(tmp_path / "ml-1m" / "ratings.dat.gz")


MOST_MEMORY = 400e6


@pytest.fixture
def little_memory(monkeypatch):
    """A limit of memory, with limits of files a tenth of what they are, so that bombs are quickly made."""
    monkeypatch.setattr(_unpack, "_ALWAYS_UNPACKED", _unpack._ALWAYS_UNPACKED // 10)
    monkeypatch.setattr(_movielens_reading, "_LARGEST_LINE", _movielens_reading._LARGEST_LINE / 10)
    monkeypatch.setattr(_movielens_reading, "_LARGEST_TABLE", _movielens_reading._LARGEST_TABLE // 10)
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_MEMORY / 4


@pytest.mark.parametrize("name", FILES["1m"])
@pytest.mark.parametrize("data", [b"\n", b"\0", b"1::2::3::4\n"])
@pytest.mark.usefixtures("little_memory")
def test_a_zip_bomb_is_not_unpacked(tmp_path, name, data):
    (tmp_path / "ml-1m.zip").write_bytes(bomb(name, data * (2**20 // len(data)), 20))
    errors = (OSError, ValueError) if name == RATINGS else OSError  # the first block of ratings is read, and is wrong
    with pytest.raises(errors, match=r"ml-1m.zip (unpacks to more than [\d,]+ MB|.*line 1)|line 1"):
        fetch_movielens("1m", data_home=tmp_path)


@pytest.mark.parametrize("data", [b"\n", b" \n", b"\r", b"1,2,3\n", b"\0"])
@pytest.mark.usefixtures("little_memory")
def test_a_gzip_bomb_is_not_unpacked(tmp_path, data):
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(gzip_bomb(data * (2**20 // len(data)), 40))
    with pytest.raises(
        OSError, match=r"ratings.csv.gz unpacks to more than [\d,]+ MB.* To read it anyway, unpack it first"
    ):
        load_ratings(path)


@pytest.mark.usefixtures("little_memory")
def test_a_file_of_line_ends_takes_little_memory(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"\n \n" * 2**21)
    with pytest.raises(ValueError, match="has no ratings"):
        load_ratings(path)
    unpack(tmp_path, {"ml-1m/ratings.dat": b"\n" * 2**22})
    with pytest.raises(ValueError, match=r"line 1: '' must be"):
        fetch_movielens("1m", data_home=tmp_path)


def test_honest_files_are_within_the_limits(tmp_path):
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(gzip.compress(b"1,2,3\n" * 100_000))  # of one line, and so small beside what it unpacks to
    assert len(load_ratings(path).target) == 100_000


LONG = "y" * 1_000_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ml-25m/ratings.csv", LONG),
        ("ml-25m/ratings.csv", f"userId,movieId,rating\n1,2,{LONG}\n"),
        ("ml-25m/ratings.csv", "userId,movieId,rating\n" + "\xff" * 1_000_000 + "\n"),
        ("ml-25m/movies.csv", LONG),
        ("ml-25m/movies.csv", f"movieId,title,genres\n{LONG},A,War\n"),
        ("ml-25m/movies.csv", f"movieId,title,genres\n1,{LONG}\n"),
        ("ml-25m/movies.csv", f"movieId,title,genres\n1,A{',x' * 100_000}\n"),
        ("ml-25m/movies.csv", f"movieId,title,genres\n{'9' * 30},A,War\n"),
    ],
)
def test_messages_are_short_whatever_the_file(tmp_path, name, text):
    unpack(tmp_path, {**FILES["25m"], name: text.encode()})
    with pytest.raises(ValueError, match=name) as error:
        fetch_movielens("25m", data_home=tmp_path)
    assert len(str(error.value)) < 1000


def test_messages_are_short_whatever_the_arguments():
    for call in (
        lambda: fetch_movielens(LONG),
        lambda: fetch_movielens([LONG] * 1000),
        lambda: pairs_to_sparse([[LONG, 1], [LONG, 1]], [1.0, 2.0]),
        lambda: pairs_to_sparse([[LONG, 1]], [1.0], users=["ann"]),
        lambda: pairs_from_sparse(pairs_to_sparse([["a", 1]], [1.0])[0], users=[LONG, LONG]),
    ):
        with pytest.raises(ValueError, match=r".") as error:
            call()
        assert len(str(error.value)) < 1000


def test_quotes_in_titles_may_span_lines_and_must_end(tmp_path):
    header = "movieId,title,genres\n"
    unpack(tmp_path, {**FILES["25m"], "ml-25m/movies.csv": f'{header}1,"A,\nb",War\n\n2,C,War\n'.encode()})
    assert fetch_movielens("25m", data_home=tmp_path).movies.title.tolist() == ["A,\nb", "C"]
    for text, message in (
        (f'{header}1,"A,War\n2,C,War\n', "unexpected end of data"),
        ("1,A,War\n2,C,War\n", "line 1 is .* instead of movieId,title,genres"),
    ):
        unpack(tmp_path, {"ml-25m/movies.csv": text.encode()})
        with pytest.raises(ValueError, match=message):
            fetch_movielens("25m", data_home=tmp_path)


def test_only_the_files_that_are_read_count(tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(zipped({**FILES["1m"], "README": b"\0" * 2**25}))
    assert len(fetch_movielens("1m", data_home=tmp_path).target) == 3
    assert files_below(tmp_path) == ["ml-1m.zip"]
