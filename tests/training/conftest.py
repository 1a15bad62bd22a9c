"""Ratings that several tests of training fit."""

import numpy as np
import pytest
from helpers.continued_fits import split_ratings

from sklearn_mf.datasets import make_ratings


@pytest.fixture(scope="session")
def noisy_ratings():
    """Training and test rows of ratings that a fit of many epochs overfits."""
    X, y = make_ratings(400, 200, 16_000, noise=1.0, rank=4, random_state=0, return_X_y=True)
    test = np.arange(len(y)) % 5 == 0
    return X[~test], X[test], y[~test], y[test]


@pytest.fixture(scope="session")
def growing_ratings():
    return split_ratings()


@pytest.fixture(scope="session")
def few_ratings():
    return make_ratings(100, 80, 3000, random_state=0, return_X_y=True)
