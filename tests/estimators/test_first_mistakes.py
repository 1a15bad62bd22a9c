"""Check messages about mistakes of first calls: tables of another form, and ids of another type."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor, MostPopularRecommender
from sklearn_mf.datasets import make_ratings

X, Y = make_ratings(30, 35, 400, random_state=0, return_X_y=True)
MODELS = {
    "regressor": MatrixFactorizationRegressor(2, max_iter=2, implicit_features=None, random_state=0),
    "ranker": MatrixFactorizationRanker(2, max_iter=2, alpha=0.1, damping=1.0, random_state=0),
    "baseline": MostPopularRecommender(),
}
by_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
FRAME = pd.DataFrame(X, columns=["user", "item"]).assign(rating=Y)
MATRIX = FRAME.pivot_table(index="user", columns="item", values="rating")
ADVICE = (
    r"X has 35 columns.*matrix of users x items, turn it into pairs.*X\.melt\(ignore_index=False\)\.dropna\(\)"
    r".*pairs_from_sparse\(scipy\.sparse\.csr_array\(X\)\)"
)


def test_a_matrix_of_users_and_items():
    model = MODELS["regressor"]
    with pytest.warns(UserWarning, match=ADVICE):
        model.fit(MATRIX.fillna(0), MATRIX.index)
    for given, y in ((MATRIX, MATRIX.index), (MATRIX.to_numpy(), None)):
        with pytest.warns(UserWarning, match=ADVICE), pytest.raises(ValueError, match=r"missing ids in|requires y"):
            model.fit(given, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(MATRIX.iloc[:, :30].fillna(0), MATRIX.index)


@pytest.mark.parametrize("name", ["ranker", "baseline"])
def test_a_matrix_of_clicks(name):
    with pytest.warns(UserWarning, match=ADVICE), pytest.raises(ValueError, match="35 columns, but .* takes two"):
        MODELS[name].fit(MATRIX.fillna(0))


def test_advice_on_a_matrix_leads_to_its_pairs():
    pairs = MATRIX.melt(ignore_index=False).dropna().reset_index()
    assert pairs.columns[:2].tolist() == ["user", "item"]
    means = FRAME.groupby(["user", "item"])["rating"].mean()
    assert pairs.set_index(["user", "item"]).iloc[:, 0].sort_index().to_dict() == means.to_dict()
