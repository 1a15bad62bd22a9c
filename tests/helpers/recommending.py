"""The model of the tests of recommendations."""

from sklearn_mf import MatrixFactorizationRegressor


def model(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 6, "max_iter": 5, "random_state": 0, **parameters})
