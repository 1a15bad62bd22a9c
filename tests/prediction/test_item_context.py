"""Check contexts that belong to the item: how they are found, what is said of them, and item_context."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers.recommending import model
from numpy.testing import assert_array_equal

BELONGS_TO_ITEM = r"In fit each item always had the same value in column 3 \('year'\)\. But for some of the"
BELONGS_TO_USER = (
    r"In fit each user always had the same value in column 2 \('country'\)\. But context gives one value for all users"
)


def year_of(item):
    return 1980 + item % 7


@pytest.fixture(scope="module")
def frame(ratings):
    X, _ = ratings
    days = np.random.default_rng(3).choice(["mon", "sat", "sun"], len(X))
    return pd.DataFrame({"user": X[:, 0], "film": X[:, 1], "day": days, "year": year_of(X[:, 1])})


@pytest.fixture(scope="module")
def with_years(frame, ratings):
    return model(implicit_features=None, alpha=0.01, clip=False).fit(frame, ratings[1] + frame["year"] % 3)


@pytest.fixture(scope="module")
def years(with_years):
    items = with_years.categories_[1]
    return pd.DataFrame({"film": items, "year": year_of(items)})


def best_of_all(fitted, user, n, day, year_of=year_of, items=None):
    """The slow and obvious way: explain every pair with the item's own year, and sort."""
    items = fitted.categories_[1].tolist() if items is None else items
    pairs = pd.DataFrame({"user": user, "film": items, "day": day, "year": [year_of(item) for item in items]})
    order = np.argsort(-fitted.explain(pairs).score, kind="stable")[:n]
    return np.array(items)[order], fitted.predict(pairs)[order]


@pytest.mark.parametrize("users", [[3, 14], list(range(60))], ids=["few", "many"])
@pytest.mark.parametrize("by_user", [False, True], ids=["for all", "by user"])
def test_each_item_is_ranked_in_its_own_context(with_years, years, users, by_user):
    days = [["mon", "sat", "sun"][u % 3] if by_user else "sat" for u in users]
    context = pd.DataFrame({"day": days}) if by_user else "sat"
    items, predictions = with_years.recommend(users, 12, context=context, item_context=years)
    for user, day, own, predicted in zip(users, days, items, predictions, strict=True):
        true_items, true_predictions = best_of_all(with_years, user, 12, day)
        assert_array_equal(own, true_items)
        assert_array_equal(predicted, true_predictions)


def test_item_context_is_a_table_or_a_mapping(with_years, years):
    expected = with_years.recommend([3, 14], 5, context=["sun"], item_context=years)
    rows = years.to_numpy()
    for same in (
        years.sample(frac=1, random_state=0),
        pd.concat([years, years, pd.DataFrame({"film": [777], "year": [1900]})]),  # more than are asked for
        years.rename(columns={"film": "id"}),
        pl.DataFrame(years.to_dict("list")),
        pa.table(years.to_dict("list")),
        rows,
        rows.tolist(),
        dict(rows.tolist()),
        {item: [year] for item, year in rows.tolist()},
        years.set_index("film")["year"],
    ):
        for a, b in zip(with_years.recommend([3, 14], 5, context=["sun"], item_context=same), expected, strict=True):
            assert_array_equal(a, b)


def test_all_contexts_by_item(with_years, years):
    table = years.assign(day=np.where(years["film"] % 2, "sun", "mon"))
    items, predictions = with_years.recommend([3], 90, item_context=table)
    pairs = pd.DataFrame({"user": 3, "film": items[0]}).merge(table, on="film")[["user", "film", "day", "year"]]
    assert_array_equal(predictions[0], with_years.predict(pairs))
    for same in (table[["film", "day", "year"]].to_numpy(dtype=object), {f: (d, y) for f, y, d in table.to_numpy()}):
        assert_array_equal(with_years.recommend([3], 90, item_context=same)[0], items)


def test_only_candidates_need_a_row(with_years, years):
    items, predictions = with_years.recommend([3], 5, context=["sun"], candidates=[4, 8, 9], item_context=years[3:10])
    true_items, true_predictions = best_of_all(with_years, 3, 5, "sun", items=[4, 8, 9])
    assert_array_equal(items, [true_items])
    assert_array_equal(predictions, [true_predictions])
    with pytest.raises(
        ValueError, match=r"item_context has no row for 2 of 3 candidate items: 8, 9\. Add rows for them"
    ):
        with_years.recommend([3], 5, context=["sun"], candidates=[4, 8, 9], item_context=years[3:6])


def test_item_contexts_after_fold_in_of_an_item(frame, ratings):
    fitted = model(implicit_features=None).fit(frame, ratings[1])
    fitted.fold_in(frame.assign(film=-40, year=1983)[:20], np.full(20, 5.0))
    table = {item: year_of(item) for item in range(90)} | {-40: 1983}
    items, predictions = fitted.recommend([3], 91, context=["sat"], item_context=table)
    own_years = [table[item] for item in items[0].tolist()]
    pairs = pd.DataFrame({"user": 3, "film": items[0], "day": "sat", "year": own_years})
    assert_array_equal(predictions[0], fitted.predict(pairs))
    with pytest.warns(UserWarning, match=BELONGS_TO_ITEM):  # still
        fitted.recommend([3], 3, context=["sat", 1983])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"item_context": {}}, "item_context is empty"),
        ({"item_context": [1, 2]}, "Expected 2D array, got 1D array instead: item_context"),
        (
            {"item_context": [[1], [2]]},
            "item_context has 1 columns, but the model has 2 context columns. In 1 of them, each item always",
        ),
        ({"item_context": [[1, 2, 3, 4]]}, "item_context has 4 columns, but the model has 2 context columns"),
        ({"item_context": pd.DataFrame({"film": [1]})}, "item_context has 1 columns"),
        (
            {"item_context": pd.DataFrame({"film": [1], "title": "Alien", "year": 1979})},
            r"columns \['title'\], but the context columns of fit were \['day', 'year'\]",
        ),
        ({"item_context": {"Alien": 1980}}, "Ids in column 0 of item_context are text"),
        ({"item_context": {4: "old"}, "candidates": [4]}, "Ids in column 1 of item_context are text"),
        ({"item_context": {4: None}, "candidates": [4]}, "missing ids in column 1 of item_context"),
        ({"item_context": {4: 1980}}, r"no row for 89 of 90 candidate items: 0, 1, 2, 3, 5, \.\.\."),
        (
            {"item_context": [[4, 1980], [4, 1981]], "candidates": [4]},
            "1 items have several values in column 1 of item_context: 4. Give one row for each item",
        ),
        (
            {"item_context": {4: 1980}, "candidates": [4], "context": ["sun", 1980]},
            r"shape \(2,\), but .* outside item_context",
        ),
        (
            {"item_context": {4: 1980}, "candidates": [4], "context": None},
            "1 context column outside item_context",
        ),
        ({"item_context": {4: ("sun", 1980)}, "candidates": [4]}, "no context columns outside item_context"),
        ({"context": None}, r"Give columns that belong to the item in item_context instead: column 3 \('year'\)"),
    ],
)
def test_wrong_item_context(with_years, given, message):
    with pytest.raises(ValueError, match=message):
        with_years.recommend([3], 2, **{"context": ["sun"], **given})


def test_item_context_without_context_columns(fitted):
    with pytest.raises(ValueError, match="item_context is given, but the model has no context columns"):
        fitted.recommend([3], 2, item_context={3: 1980})


def test_a_value_of_item_context_never_seen_is_reported(frame, ratings):
    fitted = model(implicit_features=None).fit(frame, ratings[1])
    table = {item: year_of(item) for item in range(90)} | {5: 1900, 777: 1901}
    message = r"item_context has ids not seen in fit, in 1 of 91 rows: 1 in column 1 of item_context \(1900\)"
    with pytest.warns(UserWarning, match=message):
        items, predictions = fitted.recommend([3], 90, context=["sun"], item_context=table)
    true_items, true_predictions = best_of_all(fitted, 3, 90, "sun", lambda item: table[item])
    assert_array_equal(predictions[0], true_predictions)
    assert_array_equal(items[0], true_items)
    fitted.recommend([3], 2, context=["sun"], item_context=table, candidates=[3, 4])
    nan_items, nan_predictions = fitted.set_params(handle_unknown="nan").recommend(
        [3], 90, context=["sun"], item_context=table
    )
    assert_array_equal(nan_items, items)
    assert_array_equal(np.isnan(nan_predictions), items == 5)
    with pytest.raises(ValueError, match=message):
        fitted.set_params(handle_unknown="error").recommend([3], 2, context=["sun"], item_context=table)


@pytest.mark.parametrize("handle_unknown", ["ignore", "warn"])
@pytest.mark.parametrize("users", [[3], list(range(30))], ids=["one", "many"])
def test_contexts_never_seen_are_warned_of(with_contexts, handle_unknown, users):
    fitted = with_contexts.set_params(handle_unknown=handle_unknown)
    for context in (["sat", 2], [["sat", 2]] * len(users), pd.DataFrame({"day": "sat", "week": users})):
        with pytest.warns(UserWarning, match=r"recommend was given ids not seen in fit, .* in column 0.* of context"):
            fitted.recommend(users, 4, context=context)
    with_contexts.set_params(handle_unknown="nan")
    assert np.isnan(with_contexts.recommend(users, 4, context=["sat", 2])[1]).all()
    with_contexts.set_params(handle_unknown="ignore")


# Which contexts belong to whom


@pytest.mark.parametrize("context", [["sun", 1982], [["sun", 1982], ["mon", 1983]]], ids=["for all", "by user"])
def test_a_context_of_the_item_given_for_all_items_is_warned_of(with_years, context):
    with pytest.warns(UserWarning, match=BELONGS_TO_ITEM):
        with_years.recommend([3, 4], 5, context=context)


def test_a_context_that_all_candidates_have_is_right(with_years):
    alike = [item for item in range(90) if year_of(item) == 1982]
    _, predictions = with_years.recommend([3], 5, context=["sun", 1982], candidates=alike)
    assert_array_equal(predictions[0], best_of_all(with_years, 3, 5, "sun", items=alike)[1])


def test_a_context_of_the_user_is_warned_of_where_it_is_given_for_all(frame, ratings):
    countries = np.array(["de", "fr", "it"])[frame["user"] % 3]
    X = frame[["user", "film"]].assign(country=countries)
    fitted = model().fit(X, ratings[1])
    with pytest.warns(UserWarning, match=rf"{BELONGS_TO_USER}, and 2 of 3 users had another value"):
        fitted.recommend([3, 4, 5], 5, context=["de"])
    fitted.recommend([3, 4, 5], 5, context=["de", "fr", "it"])
    fitted.recommend([3, 4, 5], 5, context=["it", "it", "it"])  # they have moved
    fitted.recommend([3, 6, 9], 5, context=["de"])
    fitted.recommend([4], 5, context=["de"])


def warns_of_years(fitted):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted.recommend([3], 2, context=["sun", 1982])
    return any("each item always had the same value" in str(warning.message) for warning in caught)


def test_a_rating_with_another_value_shows_that_a_context_does_not_belong_to_the_item(frame, ratings):
    y = ratings[1]
    other = frame[:1].assign(year=lambda row: 1980 + (row["year"] - 1979) % 7)
    assert not warns_of_years(model().fit(pd.concat([frame, other]), [*y, 3.0]))
    assert warns_of_years(model().fit(pd.concat([frame, other]), [*y, 3.0], [*np.ones(len(y)), 0.0]))
    new_user = other.assign(user=7777)
    for learn_more in (
        lambda m: m.partial_fit(other, [3.0]),
        lambda m: m.fold_in(new_user, [3.0]),
        lambda m: m.fold_in(other, [3.0], update_known=True),
    ):
        fitted = model().fit(frame, y)
        assert warns_of_years(fitted)
        learn_more(fitted)
        assert not warns_of_years(fitted)
    fitted = model().fit(frame, y)
    fitted.partial_fit(frame[:50].assign(film=lambda rows: rows["film"] + 700), y[:50])  # new ones, of the same years
    assert warns_of_years(fitted)
    fitted.partial_fit(other, [3.0])
    fitted.partial_fit(frame, y)
    assert not warns_of_years(fitted)
    assert warns_of_years(fitted.fit(frame, y))


def test_a_stream_shows_whom_contexts_belong_to(frame, ratings):
    fitted = model()
    for start in range(0, 400, 40):
        fitted.partial_fit(frame[start : start + 40], ratings[1][start : start + 40])
    assert warns_of_years(fitted)


def test_a_call_that_fails_learns_nothing_of_contexts(frame, ratings):
    fitted = model().fit(frame, ratings[1])
    other = frame[:1].assign(year=1900)
    with pytest.raises(ValueError, match="new"):
        fitted.fold_in(other.assign(user=7777), [3.0])
    assert warns_of_years(fitted)


def test_few_ratings_do_not_show_whom_a_context_belongs_to():
    """Each item was rated once, or the context is nearly always the same."""
    once = [[user, item, item % 3] for user in range(3) for item in range(10 * user, 10 * user + 10)]
    model().fit(once, np.arange(30)).recommend([1, 2], 3, context=[1])
    alike = [[user, item, int(item == 0)] for user in range(2) for item in range(20)]
    model().fit(alike, np.arange(40)).recommend([1, 2], 3, context=[1])
    one_level = [[user, item, 0] for user in range(9) for item in range(9)]
    model().fit(one_level, np.arange(81)).recommend([1, 2], 3, context=[0])


def test_a_model_stored_before_contexts_were_looked_at(frame, ratings):
    fitted = model().fit(frame, ratings[1])
    del fitted._own_contexts
    assert not warns_of_years(fitted)
    fitted.partial_fit(frame[:9], ratings[1][:9])
    assert not warns_of_years(fitted)
