"""Check that a column of X that is made of the ratings gets a warning, and others do not."""

import numpy as np
import pandas as pd
import pytest

from sklearn_mf import MatrixFactorizationRegressor

N = 3000
rng = np.random.default_rng(0)
USERS, ITEMS, GENRES = rng.integers(300, size=N), rng.integers(200, size=N), rng.integers(5, size=N)
STARS = rng.integers(1, 11, size=N) / 2
SCORES = rng.normal(size=N)
OTHER = np.random.default_rng(1).integers(1, 11, size=N) / 2


def fit(columns, y, **weights):
    X = pd.DataFrame({str(j): np.asarray(column) for j, column in enumerate(columns)})
    MatrixFactorizationRegressor(rank=1, max_iter=1, learning_rate=0.01).fit(X, y, **weights)


MADE_OF_RATINGS = {
    "the ratings": (STARS, STARS),
    "text": ([str(star) for star in STARS], STARS),
    "bytes": ([str(star).encode() for star in STARS], STARS),
    "categories": (pd.Categorical(STARS), STARS),
    "twice, as whole numbers": ((2 * STARS).astype(int), STARS),
    "the negative": (-STARS, STARS),
    "shifted": (STARS - STARS.mean(), STARS),
    "words": ([f"grade {star * 7 % 5}" for star in STARS], STARS),
    "what y is made of": (STARS, (STARS > 3).astype(float)),
    "y of the type bool": (STARS > 3, STARS > 3),
    "ranks": (np.unique(STARS, return_inverse=True)[1], STARS**3),
}


@pytest.mark.parametrize("name", MADE_OF_RATINGS)
def test_a_context_made_of_the_ratings(name):
    column, y = MADE_OF_RATINGS[name]
    for columns, place in [([USERS, ITEMS, column], 2), ([USERS, ITEMS, GENRES, column], 3)]:
        with pytest.warns(UserWarning, match=rf"Column {place} .* of X (has the ratings y|determines y).*leave it out"):
            fit(columns, y)


@pytest.mark.parametrize("as_type", [lambda y: y, lambda y: y.astype(np.float32), lambda y: [str(v) for v in y]])
@pytest.mark.filterwarnings("ignore:.*(looks continuous|looks like an identifier)")
def test_a_context_of_ratings_that_hardly_repeat(as_type):
    with pytest.warns(UserWarning, match="Column 2 .* has the ratings y themselves"):
        fit([USERS, ITEMS, as_type(SCORES)], SCORES)


@pytest.mark.parametrize("as_type", [lambda y: y, lambda y: [str(v) for v in y]])
def test_users_or_items_that_are_the_ratings(as_type):
    with pytest.warns(UserWarning, match=r"Column 1 .* of X has the ratings y themselves\."):
        fit([USERS, as_type(STARS), ITEMS], STARS)
    with pytest.warns(UserWarning, match=r"Column 0 .* of X has the ratings y themselves\."):
        fit([as_type(STARS), ITEMS], STARS)


def test_only_ratings_that_count_are_looked_at():
    counts = np.arange(N) < N / 2
    with pytest.warns(UserWarning, match="Column 2 .* has the ratings y"):
        fit([USERS, ITEMS, np.where(counts, STARS, OTHER)], STARS, sample_weight=counts.astype(float))


ORDINARY = {
    "a genre": ([USERS, ITEMS, GENRES], STARS),
    "ids that look like ratings": ([OTHER, ITEMS], STARS),
    "nearly the ratings": ([USERS, ITEMS, np.where(np.arange(N) % 10, STARS, OTHER)], STARS),
    "a column twice": ([USERS, ITEMS, USERS], STARS),
    "users with one rating": ([np.arange(N), ITEMS], STARS),
    "one rating in all": ([USERS, ITEMS, GENRES], np.ones(N)),
    "one rating but once": ([USERS, ITEMS, GENRES], np.arange(N) == 1234),
    "a constant context": ([USERS, ITEMS, np.zeros(N)], STARS),
    "text that is infinite": ([USERS, ITEMS, np.array(["inf", "nan", "1e400"])[GENRES % 3]], STARS),
    "ratings that are huge": ([USERS, ITEMS, GENRES], STARS * 1e25),
    "few rows": ([USERS[:999], ITEMS[:999], STARS[:999]], STARS[:999]),
    "a user's ratings all alike": ([USERS, ITEMS], USERS % 2),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_no_false_alarm(name):
    fit(*ORDINARY[name])


@pytest.mark.filterwarnings("ignore:.*looks like an identifier")
def test_no_false_alarm_of_a_context_of_one_row_each():
    fit([USERS, ITEMS, rng.permutation(N)], STARS)
