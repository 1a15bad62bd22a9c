"""A short fit of few ratings."""

from sklearn_mf import MatrixFactorizationRegressor


def make_model(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 4, "max_iter": 6, "random_state": 0, **parameters})
