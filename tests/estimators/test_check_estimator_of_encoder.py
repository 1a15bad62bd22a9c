"""Check that the encoder passes scikit-learn's checks but for those that cross-fitting rules out."""

from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_mf import MatrixFactorizationEncoder

CROSS_FITTED = "fit_transform(X, y) is cross-fitted and so is not fit(X, y).transform(X)"
EXPECTED = {"check_transformer_general": CROSS_FITTED, "check_transformer_data_not_an_array": CROSS_FITTED}


class WithoutTheTag(MatrixFactorizationEncoder):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        return tags


@parametrize_with_checks(
    [MatrixFactorizationEncoder(), WithoutTheTag()],
    expected_failed_checks=lambda estimator: EXPECTED if isinstance(estimator, WithoutTheTag) else {},
)
def test_sklearn_checks(estimator, check):
    check(estimator)


def test_the_tag_spares_the_comparison_with_transform_and_nothing_else():
    statuses = {r["check_name"]: r["status"] for r in check_estimator(WithoutTheTag(), on_fail=None)}
    assert {name for name, status in statuses.items() if status != "passed"} == set(EXPECTED)
