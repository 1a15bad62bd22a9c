"""Check that the regressor passes all of scikit-learn's checks, with none skipped by a tag."""

import pytest
import sklearn
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.fixes import parse_version

from sklearn_mf import MatrixFactorizationRegressor


class RawColumns(MatrixFactorizationRegressor):
    """With the tags off, the checks feed raw float columns and cells that are neither number nor text."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = False
        tags.input_tags.string = False
        return tags


@parametrize_with_checks([MatrixFactorizationRegressor(), RawColumns()])
def test_sklearn_checks(estimator, check):
    check(estimator)


def test_no_tag_skips_or_softens_a_check():
    tags = get_tags(MatrixFactorizationRegressor())
    for softening in (tags.no_validation, tags.non_deterministic, tags._skip_test, tags.regressor_tags.poor_score):
        assert not softening
    assert not tags.input_tags.allow_nan
    assert tags.requires_fit
    assert tags.target_tags.required
    assert tags.input_tags.string
    assert tags.input_tags.categorical or parse_version(sklearn.__version__) < parse_version("1.7.2")


@pytest.mark.parametrize("estimator", [MatrixFactorizationRegressor(), RawColumns()])
def test_no_check_is_skipped(estimator):
    statuses = [result["status"] for result in check_estimator(estimator, on_fail=None)]
    assert len(statuses) >= 58
    assert set(statuses) == {"passed"}


@pytest.mark.parametrize("cell", [{"foo": "bar"}, [1], object()])
def test_a_cell_that_is_neither_number_nor_text_is_a_type_error(cell):
    with pytest.raises(TypeError, match=r"Column 1 of X: argument must be a string or a number, not"):
        MatrixFactorizationRegressor().fit([[1, 2], [1, cell]], [1, 2])
