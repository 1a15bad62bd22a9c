"""Check that what is drawn is seen on light, dark, colored and transparent backgrounds."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt
import numpy as np
from helpers.drawing import DRAWN, contrast, draw

from sklearn_mf.plotting import LossCurveDisplay

pytestmark = pytest.mark.drawing

STYLES = ["default", "dark_background", "Solarize_Light2", {"figure.facecolor": "navy", "axes.facecolor": "none"}]
STYLES[3] |= {"text.color": "white"}


@pytest.fixture(params=STYLES, ids=["light", "dark", "colored", "transparent"])
def behind(request):
    """The color of the background."""
    with plt.style.context(request.param):
        is_transparent = plt.rcParams["axes.facecolor"] == "none"
        yield plt.rcParams["figure.facecolor" if is_transparent else "axes.facecolor"]


def assert_ink(behind, at_least, *colors):
    for color in colors:
        assert contrast(np.ravel(color)[:3] if not isinstance(color, str) else color, behind) > at_least, color


def halo(artist):
    (effect,) = artist.get_path_effects()
    return effect._gc["foreground"]


@pytest.mark.parametrize("color", ["C0", "C1", "C2", "yellow", "navy"])
def test_names_of_colored_axes_are_read(behind, color):
    """A line may have any color. Text of the same hue gets the contrast of WCAG 2.2, as far as the style allows."""
    kw = {"line_kw": {"color": color}, "validation_line_kw": {"color": color}}
    display = LossCurveDisplay(loss_curve=[2, 1], validation_scores=[1, 2]).plot(**kw)
    best = contrast(plt.rcParams["text.color"], behind)
    for ax in (display.ax_, display.validation_ax_):
        assert_ink(behind, min(4.5, best) - 1e-6, ax.yaxis.label.get_color())
    assert matplotlib.colors.same_color(display.line_.get_color(), color)


def test_labels_and_rings_of_the_map_are_seen(behind):
    display = draw(DRAWN["map"]())
    assert_ink(behind, 4, display.rings_.get_edgecolor())
    assert_ink(behind, 4, display.scatter_.get_edgecolor())
    far_from_background = [contrast(display.scatter_.cmap(x)[:3], behind) for x in (0.0, 1.0)]
    assert far_from_background[1] > far_from_background[0]
    for text in display.text_:
        assert_ink(behind, 4, text.get_color())
        np.testing.assert_allclose(halo(text), matplotlib.colors.to_rgb(behind))
        if text.arrow_patch:
            assert_ink(behind, 4, text.arrow_patch.get_edgecolor())
            np.testing.assert_allclose(halo(text.arrow_patch), matplotlib.colors.to_rgb(behind))


def test_boxes_and_the_diagonal_are_seen(behind):
    display = draw(DRAWN["predicted"]())
    assert_ink(behind, 4, display.line_.get_color(), *(line.get_color() for line in display.legend_.get_lines()[:1]))
    for name in ("whiskers", "caps", "medians"):
        assert_ink(behind, 4, *(line.get_color() for line in display.boxes_[name]))
    for box, mean in zip(display.boxes_["boxes"], display.boxes_["means"], strict=True):
        assert_ink(behind, 4, box.get_edgecolor(), mean.get_markerfacecolor())
        assert_ink(behind, 1.2, box.get_facecolor())
        assert_ink(box.get_facecolor()[:3], 3, mean.get_markerfacecolor())


def test_hexagons_of_a_single_rating_and_the_diagonal_over_them_are_seen(behind):
    display = draw(DRAWN["hexbin"]())
    shades = [contrast(display.hexbin_.cmap(x)[:3], behind) for x in np.linspace(0, 1, 9)]
    assert shades[0] > 1.2
    assert shades == sorted(shades)
    assert_ink(behind, 4, display.line_.get_color())
    assert_ink(display.hexbin_.cmap(1.0)[:3], 4, display.line_.get_path_effects()[0]._gc["foreground"])


def test_lines_of_intervals_are_seen(behind):
    display = draw(DRAWN["intervals"]())
    assert_ink(behind, 3, *(line.get_color() for line in display.lines_))


def test_bars_and_their_numbers_are_seen(behind):
    display = draw(DRAWN["activity"]())
    assert_ink(behind, 1.3, *(bar.get_facecolor() for bars in display.bars_ for bar in bars))
    assert_ink(behind, 4.5, *(text.get_color() for texts in display.text_ for text in texts))
    assert_ink(behind, 3, *(line.get_color() for line in display.lines_))
