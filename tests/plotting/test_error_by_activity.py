"""Check what pictures of errors by activity show."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import itertools
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
from helpers.drawing import MODEL, PAPER, X_TEST, X_TRAIN, Y_TEST, Y_TRAIN, X, draw, overlapping
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.plotting import ErrorByActivityDisplay, ItemMapDisplay

pytestmark = pytest.mark.drawing

EDGES = [0, 1, 3, 10, 30, 100, 300, 1000]


def expected_bins(counts, squared_errors, edges):
    """RMSE, half its interval and number by bin, one rating at a time."""
    bins = {}
    for count, squared_error in zip(counts, squared_errors, strict=True):
        start = max(edge for edge in edges if edge <= count)
        bins.setdefault(start, []).append(squared_error)
    table = []
    for start in sorted(bins):
        e2 = np.array(bins[start])
        rmse, n = np.sqrt(e2.mean()), len(e2)
        half = 1.96 * np.std(e2, ddof=1) / np.sqrt(n) / (2 * rmse) if n >= 10 else np.nan
        table.append((rmse, half, n))
    return np.array(table).T


def test_errors_by_activity_are_those_of_a_plain_loop():
    rows = np.vstack([X_TEST, [[10_000, X[0, 1]], [10_001, 10_002]]])
    y = np.append(Y_TEST, [3.0, 4.0])
    display = draw(ErrorByActivityDisplay.from_estimator(MODEL, rows, y, X_train=X_TRAIN))
    squared_errors = (y - MODEL.predict(rows)) ** 2
    for panel, column in ((0, 1), (1, 0)):
        trained = Counter(X_TRAIN[:, column].tolist())
        counts = [trained[id_] for id_ in rows[:, column].tolist()]
        rmse, half, n = expected_bins(counts, squared_errors, EDGES)
        points, _, (bars,) = display.errorbars_[panel]
        np.testing.assert_allclose(points.get_ydata(), rmse)
        segments = [segment for segment in bars.get_segments() if len(segment) and np.isfinite(segment).all()]
        known = np.isfinite(half)
        np.testing.assert_allclose([(s[1, 1] - s[0, 1]) / 2 for s in segments], half[known])
        heights = [bar.get_height() for bar in display.bars_[panel]]
        np.testing.assert_allclose(np.array(heights) / max(heights), n / n.max())
        assert [text.get_text() for text in display.text_[panel]] == [str(int(m)) for m in n]
        assert display.axes_[panel].get_xticklabels()[0].get_text() == "0"
    overall = np.sqrt(squared_errors.mean())
    assert all(line.get_ydata()[0] == pytest.approx(overall) for line in display.lines_)
    texts = display.axes_[0].get_legend().get_texts()
    assert [text.get_text() for text in texts] == [f"All: {overall:.3f}"]
    assert display.axes_[0].get_ylim() == display.axes_[1].get_ylim()


def test_the_interval_has_the_coverage_it_claims():
    rng = np.random.default_rng(0)
    n, n_repeats, sigma, hits = 400, 400, 0.9, 0
    from sklearn_mf.plotting._bins import rmse_with_error

    for _ in range(n_repeats):
        _, rmse, half = rmse_with_error(rng.normal(scale=sigma, size=n) ** 2)
        hits += abs(rmse - sigma) <= half
    assert 0.92 <= hits / n_repeats <= 0.98


def test_labels_of_bins_say_which_counts_are_in_them():
    counts = np.array([0, 1, 2, 3, 9, 10, 29, 30, 99, 100, 250])
    y = np.arange(len(counts), dtype=float)
    display = ErrorByActivityDisplay(y_true=y, y_pred=y + 1, item_counts=counts, user_counts=np.ones(11, dtype=int))
    display.plot()
    labels = [[tick.get_text() for tick in ax.get_xticklabels()] for ax in display.axes_]
    assert labels == [["0", "1–2", "3–9", "10–29", "30–99", "100–299"], ["1–2"]]  # noqa: RUF001
    display.plot(bins=[1, 10, 100, 1000])
    labels = [tick.get_text() for tick in display.axes_[0].get_xticklabels()]
    assert labels == ["0", "1–9", "10–99", "100–999"]  # noqa: RUF001


def test_quantile_bins_have_about_as_many_ratings_each():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 10_000, 1_000)
    y = rng.normal(size=1_000)
    display = ErrorByActivityDisplay(y_true=y, y_pred=y * 0, item_counts=counts, user_counts=counts * 0).plot(bins=4)
    numbers = [int(text.get_text()) for text in display.text_[0]]
    assert len(numbers) == 4
    assert max(numbers) - min(numbers) <= 4
    assert [text.get_text() for text in display.text_[1]] == ["1.0k"]


def test_more_bins_than_ratings_are_one_for_each():
    """However many: a picture needs no memory for bins that nothing is in."""
    counts = np.array([1, 3, 3, 7, 20])
    display = ErrorByActivityDisplay(
        y_true=np.arange(5.0), y_pred=np.zeros(5), item_counts=counts, user_counts=counts
    ).plot(bins=2**70)
    assert [text.get_text() for text in display.text_[0]] == ["1", "2", "1", "1"]


@pytest.mark.parametrize("size", [None, PAPER])
def test_texts_of_the_panels_do_not_overlap(size):
    rng = np.random.default_rng(0)
    counts = np.floor(10 ** rng.uniform(0, 3, 20_000)).astype(int) - 1
    y = rng.normal(size=20_000)
    with plt.rc_context({"figure.figsize": size, "font.size": 8} if size else {}):
        display = ErrorByActivityDisplay(y_true=y, y_pred=y * 0.5, item_counts=counts, user_counts=counts[::-1]).plot()
    draw(display)
    assert len(display.text_[0]) == 7
    for texts in display.text_:
        boxes = [text.get_window_extent() for text in texts]
        assert min(b.x0 - a.x1 for a, b in itertools.pairwise(boxes)) > 1
        assert min(text.get_fontsize() for text in texts) > (6.5 if size else 8)
    assert overlapping([ax.xaxis.label for ax in display.axes_]) == []
    for ax, texts, errorbars in zip(display.axes_, display.text_, display.errorbars_, strict=True):
        ends = ax.transData.transform(np.concatenate(errorbars[2][0].get_segments()))
        assert min(ends[:, 1]) > max(text.get_window_extent().y1 for text in texts)
        legend = ax.get_legend()
        assert legend is None or not any(legend.get_window_extent().contains(*end) for end in ends)


@pytest.mark.parametrize("given", [False, True])
def test_bars_of_counts_have_an_axis(given):
    """One scale for both panels, from 0; in panels that are beside each other it is written once."""
    axes = plt.subplots(2, 1)[1] if given else None
    display = draw(ErrorByActivityDisplay.from_estimator(MODEL, X_TEST, Y_TEST, X_train=X_TRAIN, ax=axes))
    numbers = [bar.get_height() for bars in display.bars_ for bar in bars]
    assert sum(numbers) == 2 * len(Y_TEST)
    for ax, is_labeled in zip(display.count_axes_, [given, True], strict=True):
        low, high = ax.get_ylim()
        assert low == 0
        assert high == pytest.approx(5 * max(numbers))  # bars take a fifth of the panel
        ticks = ax.get_yticks()
        assert ticks[0] == 0
        assert 0.3 * max(numbers) < ticks[-1] <= max(numbers)
        assert ax.yaxis.get_ticks_position() == "right"
        assert ax.get_ylabel() == ("Held-out ratings" if is_labeled else "")
        assert [bool(tick.get_text()) for tick in ax.get_yticklabels()] == [is_labeled] * len(ticks)


def test_small_differences_look_small():
    rng = np.random.default_rng(0)
    errors = np.append(rng.choice([-1.0, 1.0], 500), 1.005 * rng.choice([-1.0, 1.0], 500))
    counts = np.repeat([5, 50], 500)
    display = ErrorByActivityDisplay(y_true=errors, y_pred=errors * 0, item_counts=counts, user_counts=counts).plot()
    bottom, top = display.ax_.get_ylim()
    assert 0.005 / (top - bottom) < 0.05


def test_datetimes_of_different_units_are_compared_exactly():
    days = np.datetime64("2020-01-01") + np.arange(3)
    hours = days.astype("datetime64[h]") + np.array([0, 1, 0])
    tables = [np.stack([column, column], axis=1) for column in (days, hours)]
    for rows, trained in (tables, tables[::-1]):
        display = ErrorByActivityDisplay.from_predictions([1, 2, 3], [1, 2, 4], X=rows, X_train=trained)
        np.testing.assert_array_equal(display.item_counts, [1, 0, 1])


def test_predictions_and_axes_given():
    figure, axes = plt.subplots(2, 1)
    predicted = MODEL.predict(X_TEST)
    display = ErrorByActivityDisplay.from_predictions(Y_TEST, predicted, X=X_TEST, X_train=X_TRAIN, ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    assert [ax.get_xlabel() for ax in axes] == ["Training ratings\nof the item", "Training ratings\nof the user"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    with pytest.raises(ValueError, match="ax has 1 axes; give two"):
        display.plot(ax=axes[0])


def test_keywords_reach_the_panels():
    display = ErrorByActivityDisplay.from_estimator(
        MODEL,
        X_TEST,
        Y_TEST,
        X_train=X_TRAIN,
        errorbar_kw={"c": "C3"},
        bar_kw={"fc": "red"},
        line_kw={"lw": 4},
        text_kw={"size": 3},
    )
    assert display.errorbars_[0][0].get_color() == "C3"
    assert display.bars_[0][0].get_facecolor() == (1, 0, 0, 1)
    assert display.lines_[1].get_linewidth() == 4
    assert display.text_[1][0].get_fontsize() == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_train": X_TRAIN[:, :1]}, r"X_train has shape \(2400, 1\)"),
        ({"X_train": X_TRAIN[:0]}, r"X_train has shape \(0, 2\)"),
        (
            {"X_train": X_TRAIN.astype(str)},
            "column 0 of X are numbers .* column 0 of X_train has text ids",
        ),
        ({"X_train": X_TRAIN, "y": Y_TEST[:-1]}, "inconsistent numbers of samples"),
        ({"X_train": X_TRAIN, "bins": "linear"}, "bins='linear' must be 'log', a number of bins"),
        ({"X_train": X_TRAIN, "bins": 0}, "bins=0 must be a whole number, 1 or more"),
        *(
            ({"X_train": X_TRAIN, "bins": bins}, f"bins={bins} must be a whole number")
            for bins in (True, np.nan, None, 2.5)
        ),
        ({"X_train": X_TRAIN, "bins": []}, r"bins=\[\] must be whole numbers, ascending from 1"),
        ({"X_train": X_TRAIN, "bins": [2, 3]}, "ascending from 1"),
        ({"X_train": X_TRAIN, "bins": [1, 3, 3]}, "ascending from 1"),
    ],
)
def test_errors_by_activity_refuse(given, message):
    given = {"X": X_TEST, "y": Y_TEST, **given}
    with pytest.raises(ValueError, match=message):
        ErrorByActivityDisplay.from_estimator(MODEL, **given)
    assert plt.get_fignums() == []


NAMED, NAMED_TEST = (pd.DataFrame(table, columns=["user", "item"]) for table in (X_TRAIN, X_TEST))
BY_NAME = MatrixFactorizationRegressor(rank=2, max_iter=2, random_state=0).fit(NAMED, Y_TRAIN)


def counts_of(display):
    return display.item_counts.tolist(), display.user_counts.tolist()


# scikit-learn 1.6 does not see the names of polars frames.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("names", [["user", "item"], ["pipeline__user", "remainder__item"]])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas])
def test_tables_are_matched_by_name_in_any_order(names, frame):
    """Ids of users and items are alike: columns taken by place would be wrong without an error."""
    expected = counts_of(ErrorByActivityDisplay.from_estimator(BY_NAME, NAMED_TEST, Y_TEST, X_train=X_TRAIN))
    train = NAMED.set_axis(names, axis=1)
    turned = frame(train.iloc[:, ::-1].assign(time=0))
    for X_train in (turned, frame(train)):
        for held_out in (NAMED_TEST, frame(NAMED_TEST)):
            display = ErrorByActivityDisplay.from_estimator(BY_NAME, held_out, Y_TEST, X_train=X_train)
            assert counts_of(display) == expected
    display = ErrorByActivityDisplay.from_predictions(Y_TEST, Y_TEST, X=NAMED_TEST, X_train=turned)
    assert counts_of(display) == expected


def test_a_pipeline_that_orders_columns_itself_is_followed():
    transformer = ColumnTransformer([("ids", "passthrough", ["user"])], remainder="passthrough")
    pipeline = make_pipeline(transformer.set_output(transform="pandas"), clone(BY_NAME))
    pipeline.fit(NAMED.iloc[:, ::-1], Y_TRAIN)
    expected = counts_of(ErrorByActivityDisplay.from_estimator(BY_NAME, NAMED_TEST, Y_TEST, X_train=X_TRAIN))
    for held_out in (NAMED_TEST, NAMED_TEST.iloc[:, ::-1]):
        for train in (NAMED, NAMED.iloc[:, ::-1]):
            display = ErrorByActivityDisplay.from_estimator(pipeline, held_out, Y_TEST, X_train=train)
            assert counts_of(display) == expected
            search = GridSearchCV(pipeline, {"matrixfactorizationregressor__rank": [1]}, cv=2).fit(train, Y_TRAIN)
            assert counts_of(ErrorByActivityDisplay.from_estimator(search, held_out, Y_TEST, X_train=train)) == expected


def test_other_names_are_refused_with_both():
    other = NAMED.set_axis(["who", "what"], axis=1)
    message = r"X_train has the columns \['who', 'what'\], but needs \['user', 'item'\]"
    with pytest.raises(ValueError, match=message):
        ErrorByActivityDisplay.from_estimator(BY_NAME, NAMED_TEST, Y_TEST, X_train=other)
    with pytest.raises(ValueError, match=message):
        ErrorByActivityDisplay.from_predictions(Y_TEST, Y_TEST, X=NAMED_TEST, X_train=other)
    with pytest.raises(ValueError, match=message):
        ItemMapDisplay.from_estimator(BY_NAME, X_train=other)


def test_the_item_map_finds_its_items_by_name():
    labeled = [
        ItemMapDisplay.from_estimator(model, X_train=train).labeled.tolist()
        for model, train in [
            (BY_NAME, X_TRAIN),
            (BY_NAME, NAMED),
            (BY_NAME, NAMED.iloc[:, ::-1]),
            (BY_NAME, NAMED.set_axis(["a__user", "b__item"], axis=1).iloc[:, ::-1]),
        ]
    ]
    assert labeled[1:] == labeled[:1] * 3
    pipeline = make_pipeline(FunctionTransformer(np.asarray, check_inverse=False), clone(BY_NAME)).fit(NAMED, Y_TRAIN)
    assert not hasattr(pipeline[-1], "feature_names_in_")
    assert ItemMapDisplay.from_estimator(pipeline, X_train=NAMED.iloc[:, ::-1]).labeled.tolist() == labeled[0]
