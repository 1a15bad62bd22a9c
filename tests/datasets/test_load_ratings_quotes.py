"""Check that quoted values, escapes and line ends are read as CSV, and never cut into ratings that are none."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_mf.datasets import load_ratings


def write(folder, text):
    path = folder / "ratings.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


REVIEWS = [
    "good\nbob,13,1,bad",
    "\n\n",
    "a\r\nb",
    "5,5,5",
    'so ""good"" it is',
    "1::2::3",
    "tab\there",
    "x;y|z",
    "",
    " ",
]


@pytest.mark.parametrize("review", REVIEWS)
@pytest.mark.parametrize("sep", [",", "\t", ";", "|", "::", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("header", [False, True])
def test_what_is_in_quotes_makes_no_rows(tmp_path, review, sep, end, header):
    rows = [["user", "film", "stars", "text"]] * header
    rows += [["ann", "12", "4", f'"{review}"'], ["cem", "12", "3", '"x"']]
    ratings = load_ratings(write(tmp_path, end.join(map(sep.join, rows)) + end), sep=sep)
    assert ratings.data.tolist() == [["ann", 12], ["cem", 12]]
    assert ratings.target.tolist() == [4, 3]


cells = st.text(st.sampled_from('ab 12,;\t|"\n\r\\:é'), max_size=8)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells, st.integers(1, 5), cells), min_size=1, max_size=6),
    sep=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_is_read_or_refused(tmp_path_factory, rows, sep, end):
    rows = [(f"u{user}u", f"i{item}i", rating, text) for user, item, rating, text in rows]
    text = io.StringIO()
    csv.writer(text, delimiter=sep, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    path = write(tmp_path_factory.mktemp("csv"), text.getvalue())
    try:
        ratings = load_ratings(path, sep=sep, header=False)
    except ValueError as error:
        assert "a backslash before a quote or separator may be text or an escape" in str(error)  # noqa: PT017
        return
    assert ratings.data.tolist() == [[user, item] for user, item, *_ in rows]
    assert ratings.target.tolist() == [rating for *_, rating, _ in rows]


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ('ann,"He said ""hi""",3', 'He said "hi"'),
        ('ann,"He said \\"hi\\"",3', 'He said "hi"'),
        ("ann,Foo\\, Bar,3", "Foo, Bar"),
        ('ann,"C:\\",3', "C:\\"),
        ("ann,C:\\dir,3", "C:\\dir"),
        ('ann,5" disk,3', '5" disk'),
        ('ann, "a, b" ,3'.replace(" ,", ","), "a, b"),
    ],
)
def test_doubled_quotes_and_escapes(tmp_path, line, item):
    assert load_ratings(write(tmp_path, f"user,film,stars\n{line}\n")).data.tolist() == [["ann", item]]


def test_a_backslash_that_may_be_two_things_is_refused(tmp_path):
    text = "ann\\,x,12,4\nbob\\,y,13,5\n"
    with pytest.raises(ValueError, match="a backslash before a quote or separator may be text or an escape"):
        load_ratings(write(tmp_path, "ann\\,12,4,5\nbob\\,13,5,1\n"))
    assert load_ratings(write(tmp_path, "u,i,r\n" + text)).data.tolist() == [["ann,x", 12], ["bob,y", 13]]


@pytest.mark.parametrize("text", ['u,i,r\nann,"x\nbob,12,3\n', 'u,i,r\nann,"x"y,3\n', 'u,i,r\nann,"x,3\n"bob",12,3\n'])
def test_a_quote_that_does_not_end_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"line \d: a quoted value does not end, or goes on|line \d: \d instead of"):
        load_ratings(write(tmp_path, text))


def test_lines_are_counted_with_those_in_quotes(tmp_path):
    with pytest.raises(ValueError, match="line 5: the rating 'x' is not"):
        load_ratings(write(tmp_path, 'u,i,r\nann,"a\n\nb",3\nbob,c,x\n'))
    with pytest.raises(ValueError, match="line 6: the rating 'x' is not"):
        load_ratings(write(tmp_path, "\n\n \nann,b,3\n\nbob,c,x\n"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_byte_order_marks_are_no_part_of_a_name(tmp_path, encoding, quote):
    text = f"{quote}user{quote},film,stars\nann,Zoë,4\n"
    ratings = load_ratings(write(tmp_path, text.encode(encoding)))
    assert ratings.feature_names == ["user", "film"]
    assert ratings.data.tolist() == [["ann", "Zoë"]]


@pytest.mark.parametrize("text", ["ann, x;b;5\nbob;c;4\n", '"a::b::c",x,3\nd,e,4\n', "a b c|d e f|3\ng|h|4\n"])
def test_separators_in_names_do_not_mislead(tmp_path, text):
    assert load_ratings(write(tmp_path, text)).data.shape == (2, 2)


@pytest.mark.parametrize("sep", ["", '"', "\n"])
def test_what_cannot_be_a_separator(tmp_path, sep):
    with pytest.raises(ValueError, match=r"sep=.* must be a text without quotes"):
        load_ratings(write(tmp_path, "1,2,3\n"), sep=sep)


LONG = "y" * 1_000_000


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (LONG, {}),
        (f"1,2,3\n{LONG}\n", {}),
        (f"1,2,{LONG}\n", {}),
        (f"1,2,3\n1,,3,{LONG}\n", {}),
        (f"1,2,3,4\n1,,3,{LONG}\n", {}),
        (f"user,item,time,{LONG}\n1,2,3,4\n", {}),
        (f'1,2,3\n1,"{LONG}",\n', {}),
        (f'1,2,3\n1,"{LONG[:9]}"{LONG},4\n', {}),
        ("1,2,3\n", {"columns": (0, 1, LONG)}),
        ("1,2,3\n", {"columns": (0, 1, 10**4000)}),
        ("1,2,3\n", {"columns": LONG}),
        ("1,2,3\n", {"time": LONG}),
        ("1,2,3\n", {"sep": LONG + "\n"}),
        ("1,2,3\n", {"encoding": LONG}),
        (f"{LONG},a,b\n" * 3, {}),
    ],
)
def test_messages_are_short_whatever_the_file(tmp_path, text, options):
    with pytest.raises(ValueError, match=r".") as error:
        load_ratings(write(tmp_path, text), **options)
    assert len(str(error.value)) < 1000 + len(str(tmp_path))


def test_plain_and_quoted_files_are_read_alike(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(int(u), f"{i:03}", r / 2, 10**9 + int(t)) for u, i, r, t in rng.integers(1, 1000, (500, 4))]
    plain = load_ratings(write(tmp_path, "".join("{},{},{},{}\n".format(*row) for row in rows)))
    quoted = load_ratings(write(tmp_path, "".join('"{}","{}","{}","{}"\n'.format(*row) for row in rows)))
    for name in ("data", "target", "times"):
        np.testing.assert_array_equal(plain[name], quoted[name])
