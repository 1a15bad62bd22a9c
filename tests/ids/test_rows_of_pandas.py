"""Check values for the rows of X whose pandas index differs from that of X."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

from sklearn_mf import (
    MatrixFactorizationEncoder,
    MatrixFactorizationRanker,
    MatrixFactorizationRegressor,
    MostPopularRecommender,
)
from sklearn_mf.datasets import make_ratings, pairs_to_sparse
from sklearn_mf.metrics import make_ranking_scorer, ndcg_at_k, ranking_of_lists
from sklearn_mf.model_selection import LeaveLastOut, PerUserShuffleSplit, prequential_predict

X, Y = make_ratings(20, 10, 100, random_state=0, return_X_y=True)
FRAME = pd.DataFrame(X, columns=["user", "item"], index=np.arange(100) * 3)
RATINGS = pd.Series(Y, index=FRAME.index)
TURNED = RATINGS.iloc[::-1]
REGRESSOR = MatrixFactorizationRegressor(2, max_iter=2, implicit_features=None, random_state=0)
RANKER = MatrixFactorizationRanker(2, max_iter=2, alpha=0.1, damping=1.0, random_state=0)
ADVICE = (
    "{name} and {of} have the same index labels in different order: row 0 is 0 in {of} and 297 in {name}. Rows are "
    "matched by position, as everywhere in scikit-learn. If rows belong together by label, give "
    "{name}.loc[{of}.index]. If they belong together by position, give {name}.to_numpy(), which has no labels."
)


def fitted():
    return REGRESSOR.fit(X, Y)


def scored(scorer, y):
    return scorer(fitted(), FRAME, y)


CALLS = {
    "regressor": ("y", lambda y: REGRESSOR.fit(FRAME, y)),
    "weights of the regressor": ("sample_weight", lambda w: REGRESSOR.fit(FRAME, Y, sample_weight=w)),
    "regressor in files": ("y", lambda y: MatrixFactorizationRegressor(2, max_iter=2, memory_map=True).fit(FRAME, y)),
    "first batch": ("y", lambda y: MatrixFactorizationRegressor(2, max_iter=2).partial_fit(FRAME, y)),
    "later batch": ("y", lambda y: REGRESSOR.fit(FRAME, Y).partial_fit(FRAME, y)),
    "replaced ratings": ("y_old", lambda y: REGRESSOR.fit(FRAME, Y).partial_fit(FRAME, Y, y_old=y)),
    "ranker": ("y", lambda y: RANKER.fit(FRAME, y)),
    "weights of the ranker": ("sample_weight", lambda w: RANKER.fit(FRAME, sample_weight=w)),
    "score of the ranker": ("y", lambda y: RANKER.fit(FRAME.assign(item=FRAME["item"] % 2), Y).score(FRAME, y)),
    "baseline": ("y", lambda y: MostPopularRecommender().fit(FRAME, y)),
    "encoder": ("y", lambda y: MatrixFactorizationEncoder(REGRESSOR).fit(FRAME, y)),
    "splitter": ("y", lambda y: list(PerUserShuffleSplit(1).split(FRAME, y))),
    "split by time": ("y", lambda y: list(LeaveLastOut(times=np.arange(100)).split(FRAME, y))),
    "prequential": ("y", lambda y: prequential_predict(REGRESSOR, FRAME, y, batch_size=50)),
    "ranking scorer": ("y", lambda y: scored(make_ranking_scorer(ndcg_at_k), y)),
    "matrix": ("y", lambda y: pairs_to_sparse(FRAME.drop_duplicates(), y[: len(FRAME.drop_duplicates())])),
}


@pytest.mark.parametrize(("name", "call"), CALLS.values(), ids=CALLS)
def test_labels_in_another_order_are_told(name, call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(TURNED)
    told = [str(given.message) for given in caught if "index labels" in str(given.message)]
    assert told == [ADVICE.format(name=name, of="X")]
    assert [given.filename for given in caught if "index labels" in str(given.message)] == [__file__]


@pytest.mark.parametrize(("name", "call"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("ratings", [RATINGS, TURNED.to_numpy(), RATINGS.set_axis(range(100))], ids=str)
def test_other_ratings_are_taken_by_position(name, call, ratings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(ratings)
    assert not [given for given in caught if "index labels" in str(given.message)]


def test_labels_of_ratings_for_early_stopping():
    model = MatrixFactorizationRegressor(2, max_iter=2, early_stopping=True, random_state=0)
    with pytest.warns(UserWarning, match="^" + re.escape(ADVICE.format(name="y_val", of="X_val"))):
        model.fit(FRAME, RATINGS, X_val=FRAME, y_val=TURNED)


def test_repeated_labels_cannot_be_looked_up():
    index = [0, 0, *range(98)]
    with pytest.warns(UserWarning, match="put y into the order of X. If they belong"):
        REGRESSOR.fit(FRAME.set_axis(index), RATINGS.set_axis(index[::-1]))


def test_groups_of_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"groups and y_true have different index labels.*groups\.iloc\[train\]"):
        ndcg_at_k(RATINGS, Y, groups=FRAME["user"].set_axis(range(100)))
    with pytest.raises(ValueError, match="groups and y_true have the same index labels in different order"):
        ndcg_at_k(TURNED, Y, groups=FRAME["user"])
    with pytest.warns(UserWarning, match="^" + re.escape(ADVICE.format(name="y_score", of="y_true"))):
        ndcg_at_k(RATINGS, TURNED, groups=FRAME["user"])


def test_scorers_match_by_position():
    """Scikit-learn takes rows by position, so a search must not fail because of labels."""
    cv = PerUserShuffleSplit(2, random_state=0)
    scores = [
        cross_val_score(REGRESSOR, FRAME, y, scoring=make_ranking_scorer(ndcg_at_k), cv=cv, error_score="raise")
        for y in (Y, RATINGS.set_axis(range(100)))
    ]
    np.testing.assert_array_equal(*scores)


def test_labels_of_held_out_ratings():
    pairs = FRAME.drop_duplicates()
    model = MostPopularRecommender().fit(pairs)
    with pytest.warns(UserWarning, match="y_test and X_test have the same index labels in different order"):
        ranking_of_lists(model.recommend([1], 2)[0], [1], pairs, RATINGS.loc[pairs.index].iloc[::-1])


def test_labels_of_plotted_ratings():
    pytest.importorskip("matplotlib").use("agg")
    from sklearn_mf.plotting import ErrorByActivityDisplay, PredictedRatingsDisplay

    model = LinearRegression().fit(FRAME, RATINGS)
    for draw in (
        lambda: PredictedRatingsDisplay.from_estimator(model, FRAME, TURNED),
        lambda: ErrorByActivityDisplay.from_estimator(model, FRAME, TURNED, X_train=FRAME),
    ):
        with pytest.warns(UserWarning, match="^" + re.escape(ADVICE.format(name="y", of="X"))):
            draw()
    with pytest.warns(UserWarning, match="^" + re.escape(ADVICE.format(name="y_pred", of="y_true"))):
        PredictedRatingsDisplay.from_predictions(RATINGS, TURNED)


@pytest.mark.parametrize("missing", [float("nan"), pd.NA, None], ids=str)
def test_missing_labels(missing):
    labels = pd.Index([missing, 0, 1], dtype=object)
    frame, ratings = FRAME[:3].set_axis(labels), pd.Series([1.0, 2.0, 3.0], index=labels)
    REGRESSOR.fit(frame, ratings)
    with pytest.warns(UserWarning, match="row 1 is 0 in X and 1 in y"):
        REGRESSOR.fit(frame, ratings.set_axis(labels[[0, 2, 1]]))
    with pytest.raises(ValueError, match=r"row 0 is .* in X and 1 in times"):
        next(LeaveLastOut(times=ratings.set_axis(labels[[2, 1, 0]])).split(frame))
