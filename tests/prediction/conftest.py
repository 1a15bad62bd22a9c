"""Ratings and fitted models of the tests of recommendations."""

import numpy as np
import pandas as pd
import pytest
from helpers.recommending import model

from sklearn_mf.datasets import make_ratings


@pytest.fixture(scope="module")
def ratings():
    return make_ratings(150, 90, 4_000, random_state=0, return_X_y=True)


@pytest.fixture(scope="module")
def fitted(ratings):
    return model().fit(*ratings)


@pytest.fixture(scope="module")
def with_contexts(ratings):
    X, y = ratings
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user": X[:, 0], "film": X[:, 1], "day": rng.choice(["mon", "sun"], len(y))})
    frame["week"] = rng.integers(0, 4, len(y))
    return model(implicit_features=None, alpha=0.01).fit(frame.values.tolist(), y + (frame["day"] == "sun"))
