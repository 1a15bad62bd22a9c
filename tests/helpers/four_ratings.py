"""The four ratings that tests of bad input spoil."""

from sklearn_mf import MatrixFactorizationRegressor

X = [[1, 10], [2, 20], [1, 20], [3, 10]]
Y = [1.0, 2.0, 3.0, 4.0]


def fit(X=X, y=Y, sample_weight=None, **parameters):
    return MatrixFactorizationRegressor(rank=2, random_state=0, **parameters).fit(X, y, sample_weight)
