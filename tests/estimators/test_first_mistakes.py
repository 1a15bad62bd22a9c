"""Check messages about mistakes of first calls: tables of another form, and ids of another type."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.preprocessing import StandardScaler

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
    with pytest.warns(UserWarning, match=ADVICE), pytest.raises(ValueError, match=r"35 columns, but .* takes two"):
        MODELS[name].fit(MATRIX.fillna(0))


def test_advice_on_a_matrix_leads_to_its_pairs():
    pairs = MATRIX.melt(ignore_index=False).dropna().reset_index()
    assert pairs.columns[:2].tolist() == ["user", "item"]
    means = FRAME.groupby(["user", "item"])["rating"].mean()
    assert pairs.set_index(["user", "item"]).iloc[:, 0].sort_index().to_dict() == means.to_dict()


MIXED = [[1, "0111161"], [1, "0068646"], [2, "0111161"], [3, "0068646"]]


@by_model
def test_an_array_of_mixed_ids(model):
    model.fit(MIXED, [5, 3, 4, 2])
    with pytest.raises(ValueError, match=r"`list\(zip\(users, items\)\)`, or for one single pair `\[\[user, item\]\]`"):
        model.predict([1, "0111161"])
    users, items = zip(*MIXED, strict=True)
    np.testing.assert_array_equal(model.predict(list(zip(users, items, strict=True))), model.predict(MIXED))
    advice = (
        r"as a list of rows, such as \[\[1, '0068646'\]\], or as a data frame\. A plain array turns numbers to text"
    )
    with pytest.raises(ValueError, match=advice) as raised:
        model.predict(np.array(MIXED))
    assert "astype" not in str(raised.value)
    model.fit(X, Y)
    with pytest.raises(ValueError, match="Give ids of the same kind, for example with astype"):
        model.predict(X.astype(str))


def test_an_array_of_mixed_ids_learned_later():
    model = MODELS["regressor"].fit(MIXED, [5, 3, 4, 2])
    with pytest.raises(ValueError, match="A plain array turns numbers to text"):
        model.partial_fit(np.array(MIXED), [5, 3, 4, 2])


@by_model
def test_parts_of_loaded_ratings_are_named(model):
    ratings = make_ratings(30, 35, 400, random_state=0)
    with pytest.raises(TypeError, match=r"X is a Bunch.*fit\(ratings\.data, ratings\.target\)"):
        model.fit(ratings, ratings.target)
    with pytest.raises(TypeError, match=r"X is a Bunch.*fit\(ratings\.data, ratings\.target\)"):
        model.fit(ratings, None)
    for pair in ((X, Y), (FRAME[["user", "item"]], FRAME["rating"]), (X.tolist(), Y.tolist())):
        with pytest.raises(TypeError, match=r"X is a tuple.*Unpack it first: X, y = "):
            model.fit(pair, Y)
    model.fit(tuple(map(tuple, X)), Y)


def test_scaled_ids():
    rng = np.random.default_rng(0)
    users, items = rng.integers(5, size=1_000), rng.integers(10_000, size=1_000)
    scaled = StandardScaler().fit_transform(np.column_stack([users, items]))
    message = (
        r"Column 1 of X has \d+ levels in 1000 rows, such as -1\.\d+\. These ids look scaled\. Leave the scaler out"
    )
    with pytest.warns(UserWarning, match=message):
        MODELS["regressor"].fit(scaled, rng.normal(size=1_000))


CALLS = {
    "an unknown keyword": ("recommend", lambda m: m.recommend([1], N=3)),
    "another unknown keyword": ("recommend_from", lambda m: m.recommend_from([[1, 1]], N=3)),
    "no argument": ("predict", lambda m: m.predict()),
    "a position": ("set_params", lambda m: m.set_params({})),
}


@by_model
@pytest.mark.parametrize(("method", "call"), CALLS.values(), ids=CALLS)
def test_errors_of_python_name_no_private_class(model, method, call):
    with pytest.raises(TypeError, match=rf"^(MatrixFactorizationRegressor\.)?{method}\(\)"):
        call(model.fit(X, Y))


@by_model
def test_no_matrix_is_needed_for_lists(model):
    with pytest.raises(TypeError, match=r"n_items must be an instance of int, not csr_array.*no table of pairs"):
        model.fit(X, Y).recommend([3], sparse.csr_array(np.eye(3)))


@by_model
@pytest.mark.parametrize("has_names", [True, False])
def test_names_of_columns_are_compared_once(model, has_names):
    frame, other = FRAME[["user", "item"]], [[999, X[0, 1]]]
    if not has_names:
        frame, other = X, pd.DataFrame(other, columns=["user", "item"])
    model.fit(frame, Y)
    with pytest.warns(UserWarning, match="feature names") as caught:
        table = model.recommend_from(other, [4.0], as_frame=True)
    assert len(caught) == 1
    assert table.columns[:2].tolist() == ["user", "item"]
    np.testing.assert_equal(getattr(model, "feature_names_in_", None), ["user", "item"] if has_names else None)
