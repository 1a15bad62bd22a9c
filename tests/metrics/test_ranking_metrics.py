"""Compare ranking metrics by group with plain Python and with scikit-learn."""

import datetime
import itertools
import math
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from sklearn_mf.metrics import auc_by_group, hit_rate_at_k, map_at_k, mrr_at_k, ndcg_at_k, precision_at_k, recall_at_k

OF_RELEVANT = [precision_at_k, recall_at_k, hit_rate_at_k, mrr_at_k, map_at_k, auc_by_group]
METRICS = [ndcg_at_k, *OF_RELEVANT]
by_name = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)


def keywords(metric, k=10, relevant=3):
    """What of k and relevant a metric takes."""
    return {
        **({} if metric is auc_by_group else {"k": k}),
        **({} if metric is ndcg_at_k else {"relevant": relevant}),
    }


# The oracle: one group, in one order without ties, and the mean over all orders


def dcg(gains):
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def of_order(metric, y, k, relevant):
    """Value of a metric for the ratings of one group, best score first; None where it is undefined."""
    k = len(y) if k is None else k
    hits = [rating >= relevant for rating in y]
    if metric is ndcg_at_k:
        best = dcg(sorted(y, reverse=True)[:k])
        return dcg(y[:k]) / best if len(y) > 1 and best > 0 else None
    if metric is precision_at_k:
        return sum(hits[:k]) / len(y[:k])
    if metric is auc_by_group:
        pairs = [(i, j) for i in range(len(y)) for j in range(len(y)) if hits[i] and not hits[j]]
        return sum(i < j for i, j in pairs) / len(pairs) if pairs else None
    if not any(hits):
        return None
    if metric is recall_at_k:
        return sum(hits[:k]) / sum(hits)
    if metric is hit_rate_at_k:
        return float(any(hits[:k]))
    ranks = [rank for rank, hit in enumerate(hits[:k], 1) if hit]
    if metric is mrr_at_k:
        return 1 / ranks[0] if ranks else 0
    return sum(sum(hits[:rank]) / rank for rank in ranks) / min(k, sum(hits))


def mean_over_orders(metric, y, scores, k, relevant):
    ties = [[y[i] for i in range(len(y)) if scores[i] == score] for score in sorted(set(scores), reverse=True)]
    values = [
        of_order(metric, [rating for tie in order for rating in tie], k, relevant)
        for order in itertools.product(*map(itertools.permutations, ties))
    ]
    return None if values[0] is None else sum(values) / len(values)


def mean_over_groups(metric, groups, k, relevant, weights=None):
    """``groups``: a list of (ratings, scores)."""
    values = [mean_over_orders(metric, y, scores, k, relevant) for y, scores in groups]
    weights = [1] * len(values) if weights is None else weights
    defined = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    return sum(v * w for v, w in defined) / sum(w for _, w in defined) if defined else math.nan


def flat(groups):
    """y_true, y_score and groups of a list of (ratings, scores), the groups mixed."""
    rows = [(rating, score, g) for g, pair in enumerate(groups) for rating, score in zip(*pair, strict=True)]
    order = np.random.default_rng(0).permutation(len(rows))
    return [np.array(column)[order] for column in zip(*rows, strict=True)]


a_group = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=6).map(
    lambda rows: tuple(zip(*rows, strict=True))
)


@by_name
@settings(max_examples=40, deadline=None, derandomize=True)
@given(groups=st.lists(a_group, min_size=1, max_size=4), k=st.none() | st.integers(1, 7), relevant=st.integers(1, 5))
def test_the_value_is_the_mean_over_groups_of_the_mean_over_orders_of_ties(metric, groups, k, relevant):
    y_true, y_score, ids = flat(groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        value = metric(y_true, y_score, groups=ids, **keywords(metric, k, relevant))
    assert type(value) is float
    assert_allclose(value, mean_over_groups(metric, groups, k, relevant), rtol=1e-10)


@by_name
@pytest.mark.parametrize("k", [1, 3, None])
def test_a_group_counts_with_the_mean_weight_of_its_ratings_that_have_one(metric, k):
    groups = [([5, 1, 3], [2, 2, 1]), ([1, 4], [1, 0]), ([3, 5, 2, 1], [0, 0, 1, 1])]
    y_true, y_score, ids = (np.concatenate([column, [5.0, 1, 4]]) for column in flat(groups))
    ids[-3:] = [0, 2, 7]  # without weight: two ratings, and a group
    weights = np.array([0.5, 3, 2, 1, 1, 1, 1, 1])[ids.astype(int)]
    first = np.flatnonzero(ids == 0)[:2]
    weights[first] = [0.25, 0.75]
    weights[-3:] = 0
    value = metric(y_true, y_score, groups=ids, sample_weight=weights, **keywords(metric, k))
    assert_allclose(value, mean_over_groups(metric, groups, k, 3, weights=[0.5, 3, 2]))


# scikit-learn


def one_group(ties, seed=0, n=200):
    rng = np.random.default_rng(seed)
    y_true, y_score = rng.integers(1, 6, n), rng.normal(size=n)
    return y_true, np.round(y_score) if ties else y_score, np.zeros(n)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [1, 10, 199, 500, None])
def test_ndcg_of_one_group_is_that_of_scikit_learn(ties, k):
    y_true, y_score, ids = one_group(ties)
    assert_allclose(ndcg_at_k(y_true, y_score, groups=ids, k=k), ndcg_score([y_true], [y_score], k=k))
    gains = 2.0**y_true - 1
    assert_allclose(ndcg_at_k(gains, y_score, groups=ids, k=k), ndcg_score([gains], [y_score], k=k))


def test_ndcg_of_groups_of_one_size_and_weight_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    y_true, y_score, weights = rng.integers(1, 6, (30, 12)), rng.integers(0, 6, (30, 12)), rng.uniform(0, 2, 30)
    value = ndcg_at_k(
        y_true.ravel(), y_score.ravel(), groups=np.repeat(np.arange(30), 12), sample_weight=np.repeat(weights, 12)
    )
    assert_allclose(value, ndcg_score(y_true, y_score, k=10, sample_weight=weights))


def test_average_precision_without_ties_and_auc_of_one_group_are_those_of_scikit_learn():
    y_true, y_score, ids = one_group(ties=False)
    expected = average_precision_score(y_true >= 4, y_score)
    assert_allclose(map_at_k(y_true, y_score, groups=ids, relevant=4, k=None), expected)
    for ties in (False, True):
        y_true, y_score, ids = one_group(ties)
        expected = roc_auc_score(y_true >= 4, y_score)
        assert_allclose(auc_by_group(y_true, y_score, groups=ids, relevant=4), expected)


# Ties, order, large groups


@by_name
def test_the_order_of_rows_does_not_matter_nor_does_another_scale_of_scores(metric):
    rng = np.random.default_rng(0)
    y_true, y_score, ids = rng.integers(1, 6, 500), rng.integers(0, 9, 500), rng.integers(0, 40, 500)
    value = metric(y_true, y_score, groups=ids, **keywords(metric))
    order = rng.permutation(500)
    assert_allclose(metric(y_true[order], y_score[order], groups=ids[order], **keywords(metric)), value, rtol=1e-14)
    assert metric(y_true, np.exp(y_score / 2), groups=ids, **keywords(metric)) == value
    assert metric(y_true, y_score.astype(np.uint8), groups=ids, **keywords(metric)) == value


@by_name
@pytest.mark.parametrize("k", [10, None])
def test_a_perfect_order_is_worth_exactly_one_and_never_more(metric, k):
    rng = np.random.default_rng(0)
    y_true = rng.permuted(np.tile(np.arange(1, 41), (50, 1)), axis=1) / 7
    ids = np.repeat(np.arange(50), 40)
    value = metric(y_true.ravel(), y_true.ravel(), groups=ids, **keywords(metric, k, relevant=31 / 7))
    assert value == (10 / 40 if metric is precision_at_k and k is None else 1)
    for n in range(2, 60):  # where all is tied, sums are rounded in other ways
        assert 1 - 1e-14 < ndcg_at_k(np.full(n, 0.1), np.zeros(n), groups=np.zeros(n), k=k) <= 1


def test_one_score_for_all_of_a_large_group_has_a_closed_form():
    n, r = 100_000, 10
    tied = {"y_score": np.zeros(n), "groups": np.zeros(n), "relevant": 5}
    y_true = np.where(np.arange(n) < r, 5, 1)
    miss = np.prod([(n - r - i) / (n - i) for i in range(1_000)])
    assert_allclose(precision_at_k(y_true, **tied, k=1_000), r / n)
    assert_allclose(recall_at_k(y_true, **tied, k=1_000), 1_000 / n)
    assert_allclose(hit_rate_at_k(y_true, **tied, k=1_000), 1 - miss, rtol=1e-8)
    harmonic = np.sum(1 / np.arange(1, n + 1))
    expected = r / n * (harmonic + (r - 1) / (n - 1) * (n - harmonic)) / r
    assert_allclose(map_at_k(y_true, **tied, k=None), expected)
    y_true = np.where(np.arange(n) < 1, 5, 1)
    assert_allclose(mrr_at_k(y_true, **tied, k=None), harmonic / n, rtol=1e-8)


@by_name
def test_more_groups_than_sixteen_bits_count(metric):
    n = 70_000
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(n), 2)
    y_true = np.tile([5, 1], n)
    y_score = y_true * rng.choice([-1, 1], n).repeat(2)  # of each group, right or wrong
    order = rng.permutation(2 * n)
    right = np.mean(y_score[::2] > 0)
    worth = {ndcg_at_k: 0.2, precision_at_k: 0.0, recall_at_k: 0.0, hit_rate_at_k: 0.0, mrr_at_k: 0.0, map_at_k: 0.0}
    expected = right + (1 - right) * worth.get(metric, 0.0)  # of the first rank alone
    assert_allclose(metric(y_true[order], y_score[order], groups=ids[order], **keywords(metric, k=1)), expected)


def test_a_single_precision_rating_is_relevant_from_its_own_value_on():
    y_true = np.array([3.3, 1], dtype=np.float32)  # 3.3 is below 3.3 in double precision
    assert precision_at_k(y_true, [1, 0], groups=[0, 0], relevant=3.3, k=1) == 1


# Ids of groups


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        np.array,
        lambda ids: np.array(ids, dtype=object),
        lambda ids: np.array(ids, dtype=bytes),
        pd.Series,
        pytest.param(lambda ids: pd.Series(ids, index=range(5, 11)).to_numpy(), id="other labels"),
        lambda ids: pd.Categorical(ids, categories=["z", "y", "x", "unused"]),
        lambda ids: pd.Series(ids, dtype="category"),
        pl.Series,
        lambda ids: pl.Series(ids, dtype=pl.Categorical),
        lambda ids: pa.chunked_array([ids]),
        lambda ids: ["xyz".index(id_) for id_ in ids],
        lambda ids: [10.5 * "xyz".index(id_) for id_ in ids],
        lambda ids: [datetime.date(2024, 1, 1 + "xyz".index(id_)) for id_ in ids],
        lambda ids: np.array(["xyz".index(id_) for id_ in ids], dtype="datetime64[D]"),
    ],
)
@by_name
def test_groups_are_any_ids(metric, convert):
    y_true, y_score = [5, 1, 2, 4, 3, 1], [1.0, 2, 1, 3, 2, 3]
    expected = metric(y_true, y_score, groups=[0, 0, 1, 1, 2, 2], **keywords(metric))
    groups = convert(["x", "x", "y", "y", "z", "z"])
    assert metric(pd.Series(y_true), pl.Series(y_score), groups=groups, **keywords(metric)) == expected


@by_name
def test_what_is_given_is_not_changed(metric):
    given = [np.array([5.0, 1, 2]), np.array([1.0, 2, 3]), np.array([1, 0, 1]), np.array([1.0, 0, 2])]
    copies = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    y_true, y_score, ids, weights = given
    metric(y_true, y_score, groups=ids, sample_weight=weights, **keywords(metric))
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


# Undefined


@pytest.mark.parametrize("metric", [recall_at_k, hit_rate_at_k, mrr_at_k, map_at_k])
def test_groups_without_a_relevant_rating_are_left_out(metric):
    given = {"y_score": [2, 1, 1], "groups": ["ann", "ann", "bob"], "relevant": 4}
    assert metric([5, 1, 1], **given) == 1
    with pytest.warns(
        UndefinedMetricWarning,
        match=f"{metric.__name__} is undefined.*no group has a relevant rating \\(4 .* highest rating is 3",
    ):
        assert math.isnan(metric([3, 1, 1], **given))


def test_precision_is_defined_without_a_relevant_rating():
    assert precision_at_k([1, 2], [1, 2], groups=[0, 1], relevant=4) == 0


def test_ndcg_leaves_out_groups_of_one_rating_and_without_gain():
    assert ndcg_at_k([5, 1, 1, 0, 0], [2, 1, 1, 2, 1], groups=[0, 0, 1, 2, 2]) == 1
    with pytest.warns(
        UndefinedMetricWarning,
        match="ndcg_at_k is undefined.*two or more ratings with one of them above 0.*holds out one rating per user",
    ):
        assert math.isnan(ndcg_at_k([1, 0, 0], [1, 2, 1], groups=[1, 2, 2]))


def test_auc_leaves_out_groups_of_one_class():
    assert auc_by_group([5, 1, 5, 1], [2, 1, 1, 2], groups=[0, 0, 1, 2], relevant=3) == 1
    with pytest.warns(
        UndefinedMetricWarning, match="auc_by_group is undefined.*each group has only ratings of at least 3"
    ):
        assert math.isnan(auc_by_group([5, 1], [1, 2], groups=[1, 2], relevant=3))


def test_the_warning_points_at_the_caller():
    with pytest.warns(UndefinedMetricWarning) as caught:
        recall_at_k([1], [1], groups=[0], relevant=4)
    assert caught[0].filename == __file__


# Bad input

GOOD = {"y_true": [5, 1, 3], "y_score": [3.0, 2, 1], "groups": ["a", "a", "b"]}


@by_name
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"y_true": [5, 1]}, ValueError, r"y_true, y_score and groups need one value for each rating.*\[2, 3, 3\]"),
        ({"y_score": [5, 1]}, ValueError, r"one value for each rating.*\[3, 2, 3\]"),
        ({"groups": [5, 1]}, ValueError, r"one value for each rating.*\[3, 3, 2\]"),
        ({"y_true": [], "y_score": [], "groups": []}, ValueError, "are empty: there is nothing to rank"),
        ({"y_true": [5, np.nan, 1]}, ValueError, "Input y_true contains NaN or infinity: 1 of 3 ratings.*row 1"),
        ({"y_score": [5, 2, np.nan]}, ValueError, "Input y_score .* 1 of 3 predictions.*row 2.*handle_unknown='nan'"),
        ({"y_score": [5, 2, np.inf]}, ValueError, "Input y_score contains NaN or infinity"),
        ({"y_true": ["5", "1", "3"]}, ValueError, "y_true has text"),
        ({"y_true": [[5, 1], [3, 2], [1, 1]]}, ValueError, "1d array"),
        ({"y_true": 5.0}, TypeError, "Expected sequence or array-like"),
        ({"groups": "user"}, ValueError, r"groups must have one id for each rating, for .* X\['user'\], not 'user'\."),
        ({"groups": None}, ValueError, "groups must have one id for each rating.*not None"),
        ({"groups": 0}, ValueError, "groups must have one id for each rating.*not 0"),
        ({"groups": [["a"], ["a"], ["b"]]}, ValueError, "groups must be a list of ids, but contains lists"),
        ({"groups": ["a", None, "b"]}, ValueError, "missing ids in groups: 1 of 3 rows, the first at row 1"),
        ({"groups": [1, "a", 2]}, ValueError, "Groups mixes ids of different types"),
        ({"sample_weight": [1, 1]}, ValueError, r"sample_weight.shape == \(2,\), expected \(3,\)"),
        ({"sample_weight": [1, -1, 1]}, ValueError, "sample_weight must be finite and not negative.*row 1"),
        ({"sample_weight": [1, np.nan, 1]}, ValueError, "sample_weight must be finite and not negative"),
        ({"sample_weight": [0, 0, 0]}, ValueError, "Sample weights are all zero"),
    ],
)
def test_bad_input_is_refused(metric, bad, error, message):
    with pytest.raises(error, match=message):
        metric(**{**GOOD, **bad}, **keywords(metric))


@pytest.mark.parametrize("metric", [m for m in METRICS if m is not auc_by_group], ids=lambda m: m.__name__)
@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, "k == 0, must be >= 1"),
        (-3, ValueError, "k == -3, must be >= 1"),
        (True, TypeError, "k must be an int, at least 1, or None to rank whole groups, not True"),
        (2.0, TypeError, "k must be an int, at least 1, or None to rank whole groups, not 2.0"),
        ("10", TypeError, "k must be an int"),
    ],
)
def test_bad_k_is_refused(metric, k, error, message):
    with pytest.raises(error, match=message):
        metric(**GOOD, **keywords(metric, k=k))


@by_name
@pytest.mark.parametrize("k", [np.int8(2), np.uint64(2), 10**30])
def test_k_may_be_any_integer(metric, k):
    expected = metric(**GOOD, **keywords(metric, k=2 if k == 2 else None))
    assert metric(**GOOD, **keywords(metric, k=k)) == expected


@pytest.mark.parametrize("metric", OF_RELEVANT, ids=lambda m: m.__name__)
def test_relevant_is_required_and_a_number(metric):
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'relevant'"):
        metric(**GOOD)
    for bad in (True, "4", None, [4]):
        with pytest.raises(TypeError, match="relevant must be a number, the lowest rating that counts"):
            metric(**GOOD, relevant=bad)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"relevant == {bad}, must be finite"):
            metric(**GOOD, relevant=bad)
    assert metric(**GOOD, relevant=np.float32(3)) == metric(**GOOD, relevant=3)


def test_negative_gains_are_refused_unless_they_have_no_weight():
    with pytest.raises(ValueError, match=r"the lowest rating in y_true is -1.0 \(shift=0.0\).* at least shift=1.0"):
        ndcg_at_k([5, -1, 3], [1, 2, 3], groups=[0, 0, 0])
    assert ndcg_at_k([5, -1, 3], [3, 2, 1], groups=[0, 0, 0], sample_weight=[1, 0, 1]) == 1


@pytest.mark.parametrize("k", [2, 10, None])
def test_shift_and_gain_are_those_of_ratings_turned_by_hand(k):
    rng = np.random.default_rng(0)
    y_true, y_score, groups = rng.uniform(-10, 10, 300), rng.normal(size=300), rng.integers(0, 30, 300)
    rest = {"y_score": y_score, "groups": groups, "k": k}
    assert_allclose(ndcg_at_k(y_true, **rest, shift=10), ndcg_at_k(y_true + 10, **rest))
    exponential = ndcg_at_k(y_true, **rest, shift=10.5, gain="exponential")
    assert_allclose(exponential, ndcg_at_k(2 ** (y_true + 10.5) - 1, **rest))
    assert ndcg_at_k(y_true + 12, **rest, shift=-2) == pytest.approx(ndcg_at_k(y_true + 10, **rest))
    assert ndcg_at_k(y_true, y_true, groups=groups, k=k, shift=10, gain="exponential") == 1


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"shift": "min"}, TypeError, "shift must be a number that is added to all ratings, not 'min'"),
        ({"shift": True}, TypeError, "shift must be a number"),
        ({"shift": None}, TypeError, "shift must be a number"),
        ({"shift": np.inf}, ValueError, "shift == inf, must be finite"),
        ({"shift": -2}, ValueError, r"lowest rating in y_true is 1.0 \(shift=-2.0\).* at least shift=-1.0"),
        ({"gain": "2 ** y"}, ValueError, 'gain=\'2 .. y\' must be "linear" or "exponential"'),
        ({"gain": None}, ValueError, "gain=None must be"),
        ({"shift": 2000, "gain": "exponential"}, ValueError, "highest rating in y_true is 3.0. Its gain is too large"),
        ({"shift": 1e308}, ValueError, "Its gain is too large"),
    ],
)
def test_bad_shifts_and_gains_are_refused(bad, error, message):
    given = {"y_true": [1, 3, 2], "y_score": [1, 2, 3], "groups": [0, 0, 0]}
    with pytest.raises(error, match=message):
        ndcg_at_k(**given, **bad)


@pytest.mark.parametrize("value", [10**400, -(10**400), np.inf])
def test_numbers_beyond_floats(value):
    for metric, name in [*((metric, "relevant") for metric in OF_RELEVANT), (ndcg_at_k, "shift")]:
        with pytest.raises(ValueError, match=f"{name} == -?inf, must be finite"):
            metric([1, 2], [1, 2], groups=[1, 1], **{name: value})


@pytest.mark.parametrize("metric", [precision_at_k, hit_rate_at_k])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_no_short_float_is_relevant_above_its_largest(metric, dtype):
    assert metric(np.array([1, 2], dtype), [1, 2], groups=[1, 1], relevant=-1e300) == 1
    assert precision_at_k(np.array([1, 2], dtype), [1, 2], groups=[1, 1], relevant=1e300) == 0


def test_scores_in_lists_of_different_lengths():
    with pytest.raises(ValueError, match="y_score must be an array of numbers"):
        ndcg_at_k([1, 2], [1, [2, 3]], groups=[1, 1])
