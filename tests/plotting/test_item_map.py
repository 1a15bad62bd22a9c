"""Check what the map of items shows, and that nothing covers a label."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import copy
import io
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from helpers.drawing import MODEL, PAPER, X_TRAIN, X, Y, draw, overlapping
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.plotting import ErrorByActivityDisplay, ItemMapDisplay
from sklearn_mf.plotting._labels import shorten

pytestmark = pytest.mark.drawing


def test_the_map_shows_the_leading_directions_of_the_item_factors():
    display = draw(ItemMapDisplay.from_estimator(MODEL))
    centered = MODEL.item_factors_.astype(float) - MODEL.item_factors_.mean(axis=0, dtype=float)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    shown = np.asarray(display.scatter_.get_offsets())
    np.testing.assert_allclose(np.abs(shown), np.abs(left[:, :2] * values[:2]), atol=1e-6)
    share = values**2 / (values**2).sum()
    np.testing.assert_allclose(display.explained_variance_ratio, share[:2], rtol=1e-6)
    assert display.ax_.get_xlabel() == f"Direction 1 ({100 * share[0]:.0f} % of variance)"
    assert display.ax_.get_ylabel() == f"Direction 2 ({100 * share[1]:.0f} % of variance)"
    np.testing.assert_array_equal(display.scatter_.get_array(), MODEL.item_biases_.astype(float))
    assert display.scatter_.get_clim() == (MODEL.item_biases_.min(), MODEL.item_biases_.max())
    assert display.colorbar_.ax.get_ylabel() == "Item bias"


def test_the_sign_of_the_directions_is_fixed():
    factors = MODEL.item_factors_
    maps = []
    for order in (slice(None), slice(None, None, -1)):
        model = copy.copy(MODEL)
        model.factors_ = [MODEL.factors_[0], factors[:, order]]
        maps.append(ItemMapDisplay.from_estimator(model, n_labels=0).coordinates)
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)


def test_labels_go_to_the_items_farthest_out():
    display = ItemMapDisplay.from_estimator(MODEL, n_labels=7)
    far = np.argsort(-np.hypot(*display.coordinates.T), kind="stable")[:7]
    np.testing.assert_array_equal(display.labeled, far)
    assert display.labels == [str(id_) for id_ in MODEL.categories_[1][far]]


@pytest.mark.parametrize("of", [np.asarray, lambda X: pd.DataFrame(X).astype("category"), lambda X: X.tolist()])
def test_with_training_pairs_labels_go_to_the_items_rated_most(of):
    display = ItemMapDisplay.from_estimator(MODEL, X_train=of(X_TRAIN), n_labels=5)
    counts = Counter(X_TRAIN[:, 1].tolist())
    chosen = [counts[int(label)] for label in display.labels]
    assert chosen == sorted(counts.values(), reverse=True)[:5]


def test_items_and_labels_by_id_or_in_order():
    chosen = [int(id_) for id_ in MODEL.categories_[1][[3, 30, 11]]]
    titles = {id_: f"Film {id_}" for id_ in chosen[:2]}
    expected = [titles[chosen[0]], titles[chosen[1]], str(chosen[2])]
    for labels in (titles, pd.Series(titles), expected, np.array(expected)):
        display = ItemMapDisplay.from_estimator(MODEL, items=chosen, labels=labels)
        assert display.labels == expected
        np.testing.assert_array_equal(display.labeled, [3, 30, 11])
    all_labels = [f"Film {id_}" for id_ in MODEL.categories_[1]]
    display = ItemMapDisplay.from_estimator(MODEL, labels=all_labels, n_labels=4)
    assert display.labels == [all_labels[row] for row in display.labeled]
    assert ItemMapDisplay.from_estimator(MODEL, items=[]).text_ == []


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT", "s")])
def test_items_without_a_text_get_their_ids(missing):
    chosen = MODEL.categories_[1][[3, 30]].tolist()
    for labels in ({chosen[0]: missing, chosen[1]: "Alien"}, [missing, "Alien"]):
        assert ItemMapDisplay.from_estimator(MODEL, items=chosen, labels=labels).labels == [str(chosen[0]), "Alien"]


@pytest.mark.parametrize(
    "ids",
    [
        lambda items: np.array([f"film {i:03}" for i in items]),
        lambda items: np.array([f"film {i:03}".encode() for i in items], dtype=object),
        lambda items: np.datetime64("2020-01-01") + items,
        lambda items: items / 8,
    ],
    ids=["text", "bytes", "datetimes", "floats"],
)
def test_ids_of_any_kind(ids):
    frame = pd.DataFrame({"user": X[:, 0], "item": ids(X[:, 1])})
    model = MatrixFactorizationRegressor(rank=2, max_iter=2, random_state=0).fit(frame, Y)
    display = ItemMapDisplay.from_estimator(model, items=ids(X[:3, 1]), X_train=frame)
    np.testing.assert_array_equal(model.categories_[1][display.labeled], ids(X[:3, 1]))
    display = ItemMapDisplay.from_estimator(model, X_train=frame, n_labels=1)
    assert display.labels == [str(Counter(ids(X[:, 1]).tolist()).most_common(1)[0][0])] or frame.item.dtype.kind == "M"
    activity = ErrorByActivityDisplay.from_estimator(model, frame, Y, X_train=frame)
    np.testing.assert_array_equal(activity.item_counts, np.bincount(X[:, 1])[X[:, 1]])


@pytest.mark.parametrize("size", [None, PAPER])
@pytest.mark.parametrize("seed", range(2))
def test_labels_overlap_neither_each_other_nor_the_frame(seed, size):
    rng = np.random.default_rng(seed)
    labels = ["x" * rng.integers(2, 30) for _ in range(40)]
    with plt.rc_context({"figure.figsize": size} if size else {}):
        display = ItemMapDisplay(
            coordinates=rng.normal(size=(300, 2)),
            explained_variance_ratio=[0.5, 0.2],
            labeled=np.arange(40),
            labels=labels,
        ).plot()
    draw(display)
    assert 5 < len(display.text_) <= 40
    assert overlapping(display.text_) == []
    frame = display.ax_.get_window_extent()
    boxes = [Text.get_window_extent(text) for text in display.text_]
    assert all(frame.contains(*box.min) and frame.contains(*box.max) for box in boxes)
    marks = display.ax_.transData.transform(display.rings_.get_offsets())
    assert not any(box.contains(*mark) for box in boxes for mark in marks)
    assert len(marks) == len(boxes)


@pytest.mark.parametrize("title", ["", "right"])
def test_the_map_says_how_many_labels_it_left_out(title):
    coordinates = np.random.default_rng(0).normal(size=(300, 2))
    ax = plt.subplots(layout="constrained")[1]
    if title:
        ax.set_title("Mine", loc=title)
    display = draw(points_map(coordinates, ["a rather long label"] * 60).plot(ax))
    assert 5 < len(display.text_) < 60
    assert display.note_.get_text() == f"{len(display.text_)} of 60 labels fit"
    assert display.ax_.get_title(loc="left" if title else "right") == display.note_.get_text()
    assert display.note_.get_window_extent().y0 >= display.ax_.get_window_extent().y1
    assert overlapping([*display.text_, display.note_]) == []
    whole = draw(points_map(coordinates, ["x"] * 3).plot())
    assert len(whole.text_) == 3
    assert whole.note_ is None


def test_the_most_important_label_is_there_and_hidden_ones_are_not():
    display = ItemMapDisplay(
        coordinates=np.zeros((50, 2)),
        explained_variance_ratio=[1, 0],
        labeled=np.arange(50),
        labels=[f"label {i}" for i in range(50)],
    ).plot()
    shown = [text.get_text() for text in display.text_]
    assert shown[0] == "label 0"
    assert len(shown) < 50
    assert overlapping(display.text_) == []


def points_map(coordinates, labels, **kw):
    given = {"explained_variance_ratio": [0.5, 0.2], "labeled": np.arange(len(labels)), "labels": labels}
    return ItemMapDisplay(coordinates=coordinates, **given, **kw)


def test_items_asked_for_all_get_a_ring_and_more_of_them_a_label():
    coordinates = np.random.default_rng(0).normal(size=(300, 2))
    coordinates[:20] *= 0.1  # so close that there is no place beside most of them
    labels = [f"the label of item {i}" for i in range(20)]
    chosen = draw(points_map(coordinates, labels).plot())
    asked = draw(points_map(coordinates, labels, asked=True).plot())
    assert len(chosen.rings_.get_offsets()) == len(chosen.text_) < 10
    np.testing.assert_array_equal(asked.rings_.get_offsets(), coordinates[:20])
    assert len(asked.text_) > 15
    assert overlapping(asked.text_) == []
    rings = asked.ax_.transData.transform(coordinates[:20])
    assert not any(Text.get_window_extent(text).contains(*ring) for text in asked.text_ for ring in rings)
    assert len(ItemMapDisplay.from_estimator(MODEL, items=MODEL.categories_[1][:40]).rings_.get_offsets()) == 40
    again = ItemMapDisplay.from_estimator(MODEL, items=MODEL.categories_[1][[3, 3]])
    assert [text.get_text() for text in again.text_] == [str(MODEL.categories_[1][3])]


@pytest.mark.parametrize("asked", [False, True])
def test_a_label_without_a_line_is_nearest_to_its_own_ring(asked):
    coordinates = np.random.default_rng(1).normal(size=(200, 2))
    display = draw(points_map(coordinates, [f"item {i}" for i in range(60)], asked=asked).plot())
    rings = display.ax_.transData.transform(display.rings_.get_offsets())
    points = display.ax_.transData.transform([text.xy for text in display.text_ if text.arrow_patch is None])
    has_no_line = (rings[:, None] == points).all(axis=2).any(axis=1)
    for text in display.text_:
        box = Text.get_window_extent(text)
        distances = np.hypot(*(rings - np.clip(rings, box.min, box.max)).T)
        own = display.ax_.transData.transform(text.xy)
        if text.arrow_patch is None:
            to_own = distances[(rings == own).all(axis=1)].item()
            assert to_own < 12
            assert np.count_nonzero(distances[has_no_line] < 1.5 * to_own) == 1
        else:  # the line reaches the ring and the label
            ends = text.arrow_patch.get_transform().transform(text.arrow_patch.get_path().vertices[[0, -1]])
            assert np.hypot(*(ends[1] - own)) < 8
            assert box.padded(3).contains(*ends[0])
    assert 5 < has_no_line.sum() < len(rings) - 5


def test_lines_cross_neither_labels_nor_each_other():
    coordinates = np.random.default_rng(2).normal(size=(300, 2))
    display = draw(points_map(coordinates, [f"film {i}" for i in range(50)]).plot())
    boxes = [Text.get_window_extent(text) for text in display.text_]
    lines = [
        text.arrow_patch.get_transform().transform(text.arrow_patch.get_path().vertices[[0, -1]])
        for text in display.text_
        if text.arrow_patch
    ]
    along = [start + np.linspace(0.02, 0.98, 200)[:, None] * (end - start) for start, end in lines]
    assert len(along) > 5
    assert not any(box.contains(*point) for points in along for point in points for box in boxes)
    for i, points in enumerate(along):
        for other in along[:i]:
            assert np.hypot(*np.moveaxis(points[:, None] - other, 2, 0)).min() > 0.4


def test_labels_hide_few_points():
    """Where there is free room around a crowd, labels go there, with lines."""
    coordinates = np.random.default_rng(0).normal(size=(200, 2))
    display = draw(points_map(coordinates, [f"film {i}" for i in range(12)]).plot())
    boxes = [Text.get_window_extent(text).padded(1) for text in display.text_]
    points = display.ax_.transData.transform(coordinates)
    assert len(boxes) >= 10
    assert sum(box.contains(*point) for box in boxes for point in points) <= len(boxes) / 4


@pytest.mark.parametrize(("n_items", "expected"), [(2_000, False), (2_001, True)])
def test_many_points_are_pixels_in_vector_files(n_items, expected):
    display = ItemMapDisplay(
        coordinates=np.random.default_rng(0).normal(size=(n_items, 2)), explained_variance_ratio=[0.5, 0.2]
    )
    assert bool(display.plot().scatter_.get_rasterized()) is expected
    assert display.plot(scatter_kw={"rasterized": not expected}).scatter_.get_rasterized() is not expected
    file = io.StringIO()
    display.plot().figure_.savefig(file, format="svg")
    assert ("<image" in file.getvalue().split("colorbar")[0]) is expected


def test_rings_are_around_points_of_any_size():
    display = ItemMapDisplay.from_estimator(MODEL, n_labels=5, scatter_kw={"s": 200})
    assert (display.rings_.get_sizes() > 200).all()


def test_dollars_are_no_formulas():
    display = ItemMapDisplay.from_estimator(MODEL, items=MODEL.categories_[1][:1], labels=["$_{ and $5"])
    draw(display)
    assert display.text_[0].get_text() == "$_{ and $5"


@given(st.text(max_size=60), st.integers(2, 30))
@settings(max_examples=50, deadline=None)
def test_shortened_text_fits_and_begins_like_the_text(text, width):
    short, whole = shorten(text, width), " ".join(text.split())
    assert len(short) <= width
    assert short == whole if len(whole) <= width else short.endswith("…") and whole.startswith(short[:-1])


def test_titles_are_cut_between_words():
    assert shorten("Empire Strikes Back, The (1980)", 24) == "Empire Strikes Back…"
    assert shorten("Star Wars (1977)", 24) == "Star Wars (1977)"
    assert shorten("When Harry Met Sally... (1989)", 24) == "When Harry Met Sally…"
    assert shorten("When Harry Met Sally… (1989)", 24) == "When Harry Met Sally…"
    display = ItemMapDisplay.from_estimator(MODEL, items=MODEL.categories_[1][:1], labels=["a" * 40])
    assert display.text_[0].get_text() == "a" * 31 + "…"


def test_colors_and_color_bar_can_be_left_out():
    assert ItemMapDisplay.from_estimator(MODEL, colorbar=False).colorbar_ is None
    model = MatrixFactorizationRegressor(rank=2, fit_bias=False, max_iter=2, random_state=0).fit(X, Y)
    assert ItemMapDisplay.from_estimator(model).colorbar_ is None
    red = ItemMapDisplay.from_estimator(MODEL, scatter_kw={"color": "red", "s": 3}, text_kw={"size": 5})
    assert red.colorbar_ is None
    np.testing.assert_allclose(red.scatter_.get_facecolor(), [[1, 0, 0, 1]])
    assert {text.get_fontsize() for text in red.text_} == {5}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"items": [10**6]}, "items has 1 ids that the model was not fitted on: 1000000"),
        ({"items": ["a"]}, r"Ids in items are text \(such as 'a'\), but the model was fitted on number ids"),
        ({"items": [1, 2], "labels": ["a"]}, "labels has 1 entries for 2 ids in items"),
        ({"labels": ["a"]}, r"labels has 1 entries for 80 ids in categories_\[1\]"),
        ({"items": [1], "labels": {"1": "a"}}, r"none of the ids to label \(such as 1\) .* \(such as '1'\)"),
        ({"n_labels": -1}, "n_labels=-1 must be a whole number, 0 or more"),
        ({"n_labels": 2.5}, "n_labels=2.5 must be a whole number"),
        ({"n_labels": True}, "n_labels=True must be a whole number"),
        ({"n_labels": "3"}, "n_labels='3' must be a whole number"),
        ({"max_label_length": 1}, "max_label_length=1 must be a whole number, 2 or more"),
        ({"max_label_length": 20.5}, "max_label_length=20.5 must be a whole number"),
        ({"X_train": X_TRAIN[:, :1]}, r"X_train has shape \(2400, 1\): it needs one row or more, and the columns"),
        ({"X_train": X_TRAIN.astype(str)}, "column 1 of X_train are text"),
    ],
)
def test_the_map_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        ItemMapDisplay.from_estimator(MODEL, **given)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_map_needs_two_directions(rank):
    model = MatrixFactorizationRegressor(rank=rank, max_iter=2).fit(X, Y)
    with pytest.raises(ValueError, match=f"rank={rank}, but a map needs rank >= 2"):
        ItemMapDisplay.from_estimator(model)


def test_a_map_of_one_item_is_refused():
    model = MatrixFactorizationRegressor(rank=2, max_iter=2).fit([[1, 1], [2, 1]], [1, 2])
    with pytest.raises(ValueError, match="there is no map to draw"):
        ItemMapDisplay.from_estimator(model)
