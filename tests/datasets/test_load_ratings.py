"""Check that files of ratings of any layout are read, and wrong lines named."""

import gzip

import numpy as np
import pytest

from sklearn_mf.datasets import load_ratings, open_ratings

ROWS = [(1, 10, 4.5), (1, 20, 3.0), (22, 10, 5.0)]


@pytest.mark.parametrize("sep", [",", "\t", "::", ";", "|", " ", ", ", "   "])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("ending", ["", "\n", "\n\n  \n"])
@pytest.mark.parametrize("compressed", [False, True])
def test_layouts(tmp_path, sep, header, newline, ending, compressed):
    lines = [sep.join(["user", "film", "stars", "time"])] * header + [
        sep.join([str(user), str(item), str(rating), "978300760"]) for user, item, rating in ROWS
    ]
    data = (newline.join(lines) + ending.replace("\n", newline)).encode()
    path = tmp_path / "ratings.dat"
    path.write_bytes(gzip.compress(data) if compressed else data)
    ratings = load_ratings(path)
    assert ratings.data.tolist() == [[user, item] for user, item, _ in ROWS]
    assert ratings.data.dtype == np.int64
    assert ratings.target.tolist() == [rating for *_, rating in ROWS]
    assert ratings.feature_names == (["user", "film"] if header else ["user", "item"])


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "ratings.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "tokens", [["0012", "7"], ["1", "+2"], ["1", "2.0"], ["1", "1_0"], ["1", "x"], ["-0", "1"], ["1", str(2**64)]]
)
def test_a_column_is_ints_only_if_that_loses_nothing(tmp_path, tokens):
    X, _ = load_ratings(write(tmp_path, "".join(f"{i},{t},3\n" for i, t in enumerate(tokens))), return_X_y=True)
    assert X.tolist() == [[i, t] for i, t in enumerate(tokens)]
    X, _ = load_ratings(write(tmp_path, "1,-5,3\n2,0,3\n"), return_X_y=True)
    assert X.tolist() == [[1, -5], [2, 0]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("given", [False, True])
def test_encodings(tmp_path, encoding, given):
    path = write(tmp_path, "Zoë,Amélie,4\n", encoding)
    given = {"encoding": encoding.removesuffix("-sig")} if given else {}
    assert load_ratings(path, **given).data.tolist() == [["Zoë", "Amélie"]]


def test_files_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "ratings.gz"
    path.write_bytes(gzip.compress(b"1,2,3\n" * 100)[:-20])
    with pytest.raises(OSError, match=r"ratings.gz is damaged: "):
        load_ratings(path)
    with pytest.raises(ValueError, match=r"ratings.csv cannot be read as text: 'ascii' codec"):
        load_ratings(write(tmp_path, "Zoë,Amélie,4\n"), encoding="ascii")


def test_quotes(tmp_path):
    text = 'user,film,stars\nann,"Good, the Bad and the Ugly, The",5\nbob,Alien,4\n"cem", "He said ""no""",3\n'
    ratings = load_ratings(write(tmp_path, text))
    assert ratings.data[:, 1].tolist() == ["Good, the Bad and the Ugly, The", "Alien", 'He said "no"']


def test_a_value_may_end_in_a_part_of_the_separator(tmp_path):
    X, y = load_ratings(write(tmp_path, "1::2::3::note:\n4::5::6::x\n"), return_X_y=True)
    assert X.tolist() == [[1, 2], [4, 5]]
    assert y.tolist() == [3, 6]


def test_columns_by_place_and_by_name(tmp_path):
    path = write(tmp_path, "stars,week,film,user\n5,1,7,ann\n4,2,8,bob\n")
    ratings = load_ratings(path, columns=("user", "film", "week", "stars"))
    assert ratings.data.tolist() == [["ann", 7, 1], ["bob", 8, 2]]
    assert ratings.feature_names == ["user", "film", "week"]
    np.testing.assert_array_equal(load_ratings(path, columns=(3, 2, 0)).target, [5, 4])
    numbers = write(tmp_path, "1,2,3\n4,5,6\n")
    assert load_ratings(numbers, header=True).target.tolist() == [6]
    assert load_ratings(numbers, header=False).target.tolist() == [3, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u,i,r\n1,2,3\n1,2\n4,5,6\n", r"ratings.csv, line 3: 2 instead of 3 values, separated by ',': '1,2'"),
        ("1,2,3\n\n1,2,good\n", r"line 3: the rating 'good' is not a finite number: '1,2,good'"),
        ("1,2,3\n1,2,nan\n", "line 2: the rating 'nan' is not a finite number"),
        ("1,2,3\n1,2,\n", "line 2: the rating '' is not a finite number"),
        ("1,2,3\n1,2,a\n1,2,b\n1,2,c\n1,2,nan\n", "line 2: the rating 'a' is not a finite number"),  # the first
        ("1,2,3\n1,,4\n", "line 2: an id is empty: '1,,4'"),
        ("1,2\n3,4\n", r"line 1: no column 2 \(counted from 0\) among the 2 values \['1', '2'\]"),
        ("1,2,3\n2,3,3,5\n", "line 2: 4 instead of 3 values"),  # a decimal comma
        ("a,Good, Bad,3\nb,c,4\n", "line 2: 3 instead of 4 values"),  # a comma without quotes
        ("1,2,\n2,3,4\n", "line 1: the rating '' is not a finite number"),
        ("a,b,NA\nc,d,3\n", "line 1: the rating 'NA' is not a finite number"),
        ("1;2;3,5\n2;3;4\n", "line 1: the rating '3,5' is not a finite number"),
        (",user,item,a\n0,1,2,3\n", "line 1: the users would be taken from ''"),
        (",who,what\n0,1,2\n", "line 1: column 0 has no name among .* written with its index"),
        ("rating,movieId,whose\n5,1,2\n", "the users would be taken from 'rating', whose name says something else"),
        ("1,2,3\n\0\0", "cannot be read as text: it has NUL bytes"),
        ("1,2,3\n1,2,1_0\n", "line 2: the rating '1_0' is not a finite number"),
        ("", "has no ratings: it is empty"),
        ("user,item,rating\n", "has no ratings: it ends after the header"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load_ratings(write(tmp_path, text))


def test_wrong_columns(tmp_path):
    path = write(tmp_path, "user,item,rating\n1,2,3\n")
    with pytest.raises(ValueError, match=r"no column 'stars' among \['user', 'item', 'rating'\]"):
        load_ratings(path, columns=("user", "item", "stars"))
    with pytest.raises(ValueError, match="at least three columns"):
        load_ratings(path, columns=("user", "rating"))
    with pytest.raises(ValueError, match="names a column twice"):
        load_ratings(path, columns=(0, 0, 2))
    with pytest.raises(FileNotFoundError):
        load_ratings(tmp_path / "nowhere.csv")


def test_leading_zeros_stay(real_ratings):
    X, _ = real_ratings("movietweetings-100k")
    assert isinstance(X[0, 0], int)
    assert any(item.startswith("0") for item in X[:100, 1])


@pytest.mark.parametrize("given", [
    {"path": None}, {"path": 5}, {"path": b"x"}, {"sep": 5}, {"sep": b","}, {"header": "no"}, {"encoding": 5},
])  # fmt: skip
def test_arguments_of_the_wrong_type_are_named(tmp_path, given):
    (name,) = given
    with pytest.raises(TypeError, match=f"{name} must be"):
        load_ratings(**{"path": write(tmp_path, "1,2,3\n"), **given})


@pytest.mark.parametrize("read", [load_ratings, open_ratings])
@pytest.mark.parametrize(
    "text",
    ["user,item\nann,12\n", "1,12\n2,7\n", "user,item,date\nann,12,2020-01-01\n", "1,12,978300760\n2,7,978300761\n"],
    ids=["names", "no names", "dates", "times"],
)
def test_files_of_clicks(tmp_path, read, text):
    path = write(tmp_path, text)
    advice = r'No ratings\? Read the file .* X = pandas\.read_csv\(path\)\[\["user", "item"\]\], and call fit\(X\)'
    for given in ({}, {"columns": [0, 1]}):
        with pytest.raises(ValueError, match=advice):
            read(path, **given)


@pytest.mark.parametrize("columns", [5, "abc", [0, 1], {0: 1}, {0, 1, 2}])
def test_columns_that_are_no_list_of_three(tmp_path, columns):
    with pytest.raises(ValueError, match="must name at least three columns"):
        load_ratings(write(tmp_path, "1,2,3\n"), columns=columns)


def test_a_path_with_a_nul_character():
    with pytest.raises(ValueError, match="has a NUL character"):
        load_ratings("a\0b")
