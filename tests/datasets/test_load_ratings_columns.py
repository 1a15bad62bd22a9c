"""Check that columns are found by the words of a header, that what is unclear is refused, and that times come along."""

import numpy as np
import pytest

from sklearn_mf.datasets import load_ratings
from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut


def write(folder, text):
    path = folder / "ratings.csv"
    path.write_bytes(text.encode())
    return path


USERS = ["user", "userId", "user_id:token", "User-ID", "userid", "reviewerID", "customer id", "UserIDs", "uid", "u"]
ITEMS = ["item", "movieId", "item_id:token", "ISBN", "filmid", "business_id", "ProductID", "bookid", "asin", "i"]
RATINGS = ["rating", "stars", "rating:float", "Book-Rating", "overall", "review/score", "SCORE", "userRating", "r"]
TIMES = ["timestamp", "time", "timestamp:float", "unixReviewTime", "date", "reviewed_at_time", "rating_time", "t"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 1, 3, 2), (3, 2, 1, 0), (2, 3, 0, 1)])
@pytest.mark.parametrize(
    "names", [*zip(USERS, ITEMS, RATINGS, TIMES, strict=False), ("UserIDs", "bookid", "mark", "ts")]
)
def test_columns_are_found_by_their_words_in_any_order(tmp_path, order, names):
    values = ["ann", "12", "4.5", "978300760"]
    lines = [",".join(row[place] for place in order) for row in (names, values)]
    ratings = load_ratings(write(tmp_path, "\n".join(lines)))
    assert ratings.data.tolist() == [["ann", 12]]
    assert ratings.feature_names == [names[0], names[1]]
    assert ratings.target.tolist() == [4.5]
    assert ratings.times.tolist() == [978300760]


@pytest.mark.parametrize("name", [*RATINGS[:-1], "mark", "votes"])
@pytest.mark.parametrize("before", ["timestamp", "time", "date", "year", "week", "item_date"])
def test_times_are_never_the_ratings(tmp_path, name, before):
    path = write(tmp_path, f"who,what,{before},{name}\nann,12,978300760,4\n")
    with pytest.raises(
        ValueError, match="Set columns to names or positions: user, item, any contexts, and last the rating"
    ):
        load_ratings(path)
    path = write(tmp_path, f"user,item,{before},{name}\nann,12,978300760,4\n")
    assert load_ratings(path).target.tolist() == [4]
    path = write(tmp_path, f"user,item,{before},punteggio\nann,12,978300760,4\n")
    with pytest.raises(ValueError, match=f"ratings would be taken from '{before}', whose name says something else"):
        load_ratings(path)


@pytest.mark.parametrize(
    ("header", "picked"),
    [
        ("reviewerID,asin,reviewerName,helpful,overall,unixReviewTime,reviewTime", [0, 1, 4]),
        ("review_id,user_id,business_id,stars,useful,funny,date", [1, 2, 3]),
        ("rating,title,text,asin,parent_asin,user_id,timestamp", [5, 3, 0]),
        (",user,item,rating,a,b,c", [1, 2, 3]),
        ("user_id,item_id,average_rating,rating,n_ratings,a,b", [0, 1, 3]),
        ("user,movie_title,movieId,rating,genres,a,b", [0, 2, 3]),
    ],
)
def test_headers_of_known_files(tmp_path, header, picked):
    ratings = load_ratings(write(tmp_path, f"{header}\n0,1,2,3,4,5,6\n"))
    assert [*ratings.data[0].tolist(), ratings.target[0]] == picked


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user,item,rating,score", r"there are \['rating', 'score'\].* such as columns=\('user', 'item', 'rating'\)"),
        ("user,item,rating,rating", r"such as columns=\('user', 'item', 2\)"),
        ("from_user,to_user,rating,x", "the users would be taken from 'from_user'"),
        ("x,user,item,points", "the users would be taken from 'x', but there is a column 'user'"),
        ("who,what,user,stars", "the users would be taken from 'who'"),
        ("stars,what,who,x", "the users would be taken from 'stars'"),
    ],
)
def test_names_that_leave_it_open_are_refused(tmp_path, header, message):
    with pytest.raises(ValueError, match=message):
        load_ratings(write(tmp_path, f"{header}\n1,2,3,4\n"))
    assert load_ratings(write(tmp_path, f"{header}\n1,2,3,4\n"), columns=(0, 1, 3)).target.tolist() == [4]


WORDS = ["4,5", "?", "-", "NA", "*****", "4/5", "5 stars", "\\N", "#", "", "1_0", "½"]


@pytest.mark.parametrize("rating", WORDS)
@pytest.mark.parametrize("ids", ["1;2", "ann;12", "ann;B00", "user;film"])
def test_a_first_rating_that_is_no_number_is_not_dropped(tmp_path, rating, ids):
    with pytest.raises(ValueError, match=r"line 1: the rating .* is not a finite number.*If the first row holds names"):
        load_ratings(write(tmp_path, f"{ids};{rating}\nbob;C1;3\n"))


def test_a_first_row_that_may_be_names_or_not_is_refused(tmp_path):
    for first in ("ann;B00;good", "V1;V2;V3", "ann;movie;good"):
        path = write(tmp_path, f"{first}\nbob;C1;3\n")
        with pytest.raises(
            ValueError, match=r"line 1: .* may be column names, or ids with the rating .*Set header=True"
        ):
            load_ratings(path)
        assert load_ratings(path, header=True).target.tolist() == [3]
    assert load_ratings(write(tmp_path, "V1;V2;V3\n1;2;3\n")).feature_names == ["V1", "V2"]  # numbers follow


def test_the_last_of_the_columns_must_not_be_the_times(tmp_path):
    path = write(tmp_path, "1\t2\t3\t978300760\n4\t5\t1\t978300761\n")
    for columns in ((0, 1, 2, 3), (0, 1, 3)):
        with pytest.raises(ValueError, match="ratings would be taken from column 3, which has times such as 978300760"):
            load_ratings(path, columns=columns)
    with_context = load_ratings(path, columns=(0, 1, 3, 2))
    assert with_context.data.tolist() == [[1, 2, 978300760], [4, 5, 978300761]]
    assert with_context.times.tolist() == [978300760, 978300761]
    path = write(tmp_path, "user,item,rating,timestamp\n1,2,3,978300760\n")
    for columns in ((0, 1, 2, 3), (0, 1, 3), ("user", "item", "rating", "timestamp")):
        with pytest.raises(ValueError, match="ratings would be taken from 'timestamp', but there is a column 'rating'"):
            load_ratings(path, columns=columns)
    assert load_ratings(path, columns=("user", "item", "timestamp")).target.tolist() == [978300760]  # asked for


@pytest.mark.parametrize("header", ["", "user,item,rating,date\n"])
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["978300760", "978300700"], np.array([978300760, 978300700])),
        (["978300760000", "978300700000"], np.array([978300760000, 978300700000])),
        (["2020-01-02", "2020-01-01"], np.array(["2020-01-02", "2020-01-01"], "M8[D]")),
        (
            ["2020-01-02 10:00:00", "2020-01-01T10:00:00.123456789"],
            ["2020-01-02T10:00:00", "2020-01-01T10:00:00.123456789"],
        ),
        (["2020-01-01T00:00:00Z", "2020-01-01 00:30:00+01:00"], ["2020-01-01T00:00:00", "2019-12-31T23:30:00"]),
    ],
)
def test_times_are_returned_and_split_by(tmp_path, header, texts, expected):
    path = write(tmp_path, header + "".join(f"1,{i},3,{text}\n" for i, text in enumerate(texts)))
    ratings = load_ratings(path)
    np.testing.assert_array_equal(ratings.times, np.asarray(expected, ratings.times.dtype))
    (_, test), *_ = LeaveLastOut(times=ratings.times).split(ratings.data)
    assert test.tolist() == [int(ratings.times[1] > ratings.times[0])]
    _, test = next(GlobalTimeSplit(test_size=0.5, times=ratings.times).split(ratings.data))
    assert test.tolist() == [int(ratings.times[1] > ratings.times[0])]
    assert len(load_ratings(path, return_X_y=True)) == 2


def test_times_that_are_missing_or_unknown(tmp_path):
    times = load_ratings(write(tmp_path, "user,item,rating,time\n1,2,3,\n4,5,1,9.5\n")).times
    np.testing.assert_array_equal(times, [np.nan, 9.5])
    times = load_ratings(write(tmp_path, "user,item,rating,time\n1,2,3,NA\n4,5,1,2020-01-01\n")).times
    np.testing.assert_array_equal(times, np.array(["NaT", "2020-01-01"], "M8[D]"))
    for texts in ("01 2 2013", "2020-13-01"), ("2020-01-01T00:00Z", "2020-01-01T00:00"), ("", ""):
        times = load_ratings(write(tmp_path, "user,item,rating,time\n1,2,3,{}\n4,5,1,{}\n".format(*texts))).times
        assert times.tolist() == list(texts)
    assert load_ratings(write(tmp_path, "1,2,3\n")).times is None
    assert load_ratings(write(tmp_path, "1,2,3,12\n4,5,3,978300760\n")).times is None


def test_the_column_of_times_may_be_given(tmp_path):
    path = write(tmp_path, "1,2,3,978300760,978300761\n")
    with pytest.raises(
        ValueError, match=r"several columns look like times: \[3, 4\]. Set time to a position, such as time=3"
    ):
        load_ratings(path)
    assert load_ratings(path, time=4).times.tolist() == [978300761]
    assert load_ratings(path, return_X_y=True)[1].tolist() == [3]
    path = write(tmp_path, "user,item,rating,date,review_time\n1,2,3,4,5\n")
    with pytest.raises(
        ValueError, match=r"several columns may be the times: .*Set time to a name or position, such as time='date'"
    ):
        load_ratings(path)
    assert load_ratings(path, time="review_time").times.tolist() == [5]
    with pytest.raises(ValueError, match="no column 'day' among"):
        load_ratings(path, time="day")
    with pytest.raises(ValueError, match="no column 9"):
        load_ratings(path, time=9)
