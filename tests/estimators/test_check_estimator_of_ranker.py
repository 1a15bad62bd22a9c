"""Check that the ranker passes scikit-learn's checks, on a subclass that keeps two of the columns it is given.

The checks feed tables of other widths, and the ranker refuses a third column.
"""

import numpy as np
import pytest
from helpers.preferences import pairs
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_mf import MatrixFactorizationRanker

# One of the checks scores what it fitted on.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* pairs to score are in training too", "ignore:The score of the catalog is undefined"
)


class TwoOfTheColumns(MatrixFactorizationRanker):
    """Take the first two columns of wider tables."""

    def _take_fields(self, columns):
        return columns[:2]


class RawColumns(TwoOfTheColumns):
    """With the tags off, the checks feed raw float columns and cells that are neither number nor text."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = False
        tags.input_tags.string = False
        return tags


@parametrize_with_checks([TwoOfTheColumns(4), RawColumns(4)])
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [TwoOfTheColumns(4), RawColumns(4)])
def test_no_check_is_skipped(estimator):
    statuses = [result["status"] for result in check_estimator(estimator, on_fail=None)]
    assert len(statuses) >= 40
    assert set(statuses) == {"passed"}


def test_tags():
    tags = get_tags(MatrixFactorizationRanker())
    for softening in (tags.no_validation, tags.non_deterministic, tags._skip_test):
        assert not softening
    assert not tags.target_tags.required
    assert tags.requires_fit


def test_the_subclass_is_the_ranker_on_two_columns():
    X, y = pairs()
    wide = np.column_stack([X, X[:, 0]])
    one, two = TwoOfTheColumns(4, random_state=0).fit(wide, y), MatrixFactorizationRanker(4, random_state=0).fit(X, y)
    assert np.array_equal(one.predict(wide), two.predict(X))
