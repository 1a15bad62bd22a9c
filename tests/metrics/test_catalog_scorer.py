"""Check scores over the whole catalog: what is left out, what is relevant, and how searches use them."""

import functools

import numpy as np
import pandas as pd
import pytest
from helpers.preferences import model, pairs
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold, cross_val_score

from sklearn_mf import MatrixFactorizationRegressor, MostPopularRecommender
from sklearn_mf.datasets import open_ratings
from sklearn_mf.metrics import (
    catalog_coverage,
    make_catalog_scorer,
    make_ranking_scorer,
    ndcg_at_k,
    novelty,
    precision_at_k,
    recall_at_k,
)
from sklearn_mf.model_selection import LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit

CV = PerUserShuffleSplit(2, test_size=0.2, random_state=0)


@pytest.fixture(scope="module")
def data():
    return pairs(n=1500)


def test_it_is_score_for_a_model_that_keeps_no_pairs(data):
    X, y = data
    train, test = next(CV.split(X))
    kept = model(relevant=4).fit(X[train], y[train])
    without = model(keep_pairs=False).fit(X[train], y[train])
    scorer = make_catalog_scorer(ndcg_at_k, X=X, relevant=4)
    assert scorer(without, X[test], y[test]) == kept.score(X[test], y[test]) == scorer(kept, X[test], y[test])
    assert repr(scorer) == "make_catalog_scorer(ndcg_at_k, X=..., k=10, relevant=4)"


def test_precision_and_recall_by_hand(data):
    X, _ = data
    train, test = next(CV.split(X))
    fitted = model(keep_pairs=False).fit(X[train])
    hits, found, wanted = [], [], []
    for user in np.unique(X[test][:, 0]):
        mine = set(X[test][X[test][:, 0] == user, 1]) & set(fitted.categories_[1])
        if mine:
            items = fitted.recommend([user], 5, exclude=X[train])[0][0]
            hits.append(len(mine & set(items)))
            wanted.append(len(mine))
    found = np.array(hits)
    assert make_catalog_scorer(precision_at_k, X=X, k=5)(fitted, X[test]) == pytest.approx((found / 5).mean())
    assert make_catalog_scorer(recall_at_k, X=X, k=5)(fitted, X[test]) == pytest.approx((found / wanted).mean())


@pytest.mark.parametrize("estimator", [model(), MatrixFactorizationRegressor(4, random_state=0, max_iter=3)])
def test_both_estimators_in_searches(estimator, data):
    X, y = data
    scorer = make_catalog_scorer(ndcg_at_k, X=X, relevant=4)
    search = GridSearchCV(estimator, {"rank": [2, 8]}, scoring=scorer, cv=CV).fit(X, y)
    assert 0 < search.best_score_ < 1
    assert (cross_val_score(estimator, X, y, scoring=scorer, cv=CV) > 0).all()


@pytest.mark.filterwarnings("ignore:.* users to score have no pairs in training")  # of half the pairs
@pytest.mark.filterwarnings("ignore:X of make_catalog_scorer has pairs that are neither")
def test_halving_search(data):
    X, y = data
    search = HalvingGridSearchCV(
        model(), {"rank": [2, 8]}, scoring=make_catalog_scorer(recall_at_k, X=X), cv=CV, random_state=0,
        min_resources=len(X) // 2,
    )  # fmt: skip
    assert 0 < search.fit(X, y).best_score_ < 1


def test_frames_in_any_order_of_columns(data):
    X, y = data
    frame = pd.DataFrame({"user": X[:, 0].astype(str), "item": X[:, 1]})
    turned = frame[["item", "user"]].assign(more=1)
    train, test = next(CV.split(X))
    fitted = model(keep_pairs=False).fit(frame.iloc[train], y[train])
    one, two = (make_catalog_scorer(ndcg_at_k, X=table) for table in (frame, turned))
    assert one(fitted, frame.iloc[test]) == two(fitted, turned.iloc[test])


def test_weights_are_those_of_users(data):
    X, _ = data
    train, test = next(CV.split(X))
    fitted = model().fit(X[train])
    scorer = make_catalog_scorer(ndcg_at_k, X=X)
    users = np.unique(X[test][:, 0])
    scores = np.array([scorer(fitted, X[test][X[test][:, 0] == user]) for user in users])
    weights = np.random.default_rng(0).random(len(users))
    expected = np.average(scores, weights=weights)
    assert scorer(fitted, X[test], None, weights[np.searchsorted(users, X[test][:, 0])]) == pytest.approx(expected)


def test_what_is_wrong_is_said_at_once(data):
    X, _ = data
    with pytest.raises(TypeError, match="relevant must be a number"):
        make_catalog_scorer(ndcg_at_k, X=X, relevant="4")
    with pytest.raises(ValueError, match="k"):
        make_catalog_scorer(ndcg_at_k, X=X, k=0)
    with pytest.raises(TypeError, match="not a metric that takes groups"):
        make_catalog_scorer(np.mean, X=X)
    with pytest.raises(ValueError, match="columns user and item"):
        make_catalog_scorer(ndcg_at_k, X=X[:, :1])
    with pytest.raises(TypeError, match="cannot be called"):
        make_catalog_scorer(ndcg_at_k, X=X, colour=1)
    with pytest.raises(ValueError, match=r"X has 1 column\(s\), but needs two: users and items"):
        make_catalog_scorer(ndcg_at_k, X=X)(model().fit(X), X[:, :1])
    with pytest.raises(TypeError, match="Ridge has none"):
        make_catalog_scorer(ndcg_at_k, X=X)(Ridge().fit(X, X[:, 0]), X)


def test_pairs_that_are_outside_of_the_fold_too_are_left_out(data):
    X, _ = data
    train, test = next(CV.split(X))
    fitted = model().fit(X[train])
    expected = fitted.score(X[test])
    repeated = np.concatenate([X, X[train[:50]]])
    fold = np.concatenate([test, train[:50]])
    with pytest.warns(UserWarning, match=r"50 of .* in training too\. They .* items\. Before the split"):
        assert make_catalog_scorer(ndcg_at_k, X=repeated)(fitted, X[fold]) == expected
    with pytest.warns(UserWarning, match="The model was fitted on these .*drop_duplicates.*groupby"):
        assert fitted.score(X[fold]) == expected


REGRESSOR = MatrixFactorizationRegressor(4, random_state=0, max_iter=3)
IN_NEITHER = (
    r"neither in the test fold nor .*model was fitted on \d+ pairs( of them at most)?\. "
    r".* later test, .*pass this part: X=X_train"
)


@pytest.mark.parametrize("estimator", [model(), model(keep_pairs=False), REGRESSOR])
def test_pairs_of_x_in_neither_part_give_a_warning(estimator, data):
    """As when a search on a training part has a scorer with the pairs of the final test."""
    X, y = data
    rest, _ = next(CV.split(X))
    X_train, y_train = X[rest], y[rest]
    train, test = next(CV.split(X_train))
    fitted = estimator.fit(X_train[train], y_train[train])
    right = make_catalog_scorer(ndcg_at_k, X=X_train)(fitted, X_train[test])
    with pytest.warns(UserWarning, match=IN_NEITHER) as caught:
        assert make_catalog_scorer(ndcg_at_k, X=X)(fitted, X_train[test]) > right
    assert len(caught) == 1


@pytest.mark.parametrize("estimator", [model(), MostPopularRecommender()])
def test_other_pairs_are_found_beside_many_users_of_one_pair(estimator, data):
    X, _ = data
    alone = np.column_stack([np.arange(2000) + 10**6, np.resize(np.unique(X[:, 1]), 2000)])
    rest, _ = next(CV.split(X))
    train, test = next(CV.split(X[rest]))
    fitted = estimator.fit(np.concatenate([X[rest][train], alone]))
    right = make_catalog_scorer(ndcg_at_k, X=np.concatenate([X[rest], alone]))(fitted, X[rest][test])
    with pytest.warns(UserWarning, match=IN_NEITHER):
        score = make_catalog_scorer(ndcg_at_k, X=np.concatenate([X, alone]))(fitted, X[rest][test])
    assert score > right


def test_disliked_items_may_be_left_out_of_fit_and_of_the_lists(data):
    X, y = data
    train, test = next(CV.split(X))
    liked = y >= 3
    scorer = make_catalog_scorer(ndcg_at_k, X=X, relevant=3)
    zero = model().fit(X[train], sample_weight=liked[train].astype(float))
    expected = scorer(zero, X[test], y[test])
    dropped = model().fit(X[train[liked[train]]])
    message = "If they are training pairs that you left out of fit, such as disliked items, the score is right"
    with pytest.warns(UserWarning, match=message):
        assert scorer(dropped, X[test], y[test]) == expected


@pytest.mark.parametrize("estimator", [model(), REGRESSOR])
@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=0),
        PerUserShuffleSplit(2, random_state=0),
        WarmShuffleSplit(2, random_state=0),
        LeaveLastOut(times=np.arange(len(pairs(n=1500)[0]))),
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_pairs_in_one_of_the_parts_give_none(estimator, cv, data):
    """Warnings are errors; pairs may be repeated within a part, and have a weight of 0."""
    X, y = data
    scorer = make_catalog_scorer(ndcg_at_k, X=X)
    assert (cross_val_score(estimator, X, y, scoring=scorer, cv=cv) > 0).all()
    train, test = next(cv.split(X))
    twice, weights = np.concatenate([train, train]), np.arange(2 * len(train)) % 2
    fitted = estimator.fit(X[twice], y[twice], sample_weight=weights)
    assert make_catalog_scorer(ndcg_at_k, X=X[np.concatenate([twice, test])])(fitted, X[test]) > 0


@pytest.mark.filterwarnings("ignore:.* users to score have no pairs in training")
def test_pairs_that_were_learned_in_other_ways_are_training(data):
    X, y = data
    train, test = next(CV.split(X))
    scorer, half = make_catalog_scorer(ndcg_at_k, X=X), len(train) // 2
    one, two = X[train[:half]], X[train[half:]]
    y_one, y_two = y[train[:half]], y[train[half:]]
    learners = [
        MatrixFactorizationRegressor(4, random_state=0, early_stopping=True).fit(one, y_one, X_val=two, y_val=y_two),
        MatrixFactorizationRegressor(4, random_state=0, warm_start=True).fit(one, y_one).fit(two, y_two),
        MatrixFactorizationRegressor(4, random_state=0).fit(one, y_one).partial_fit(two, y_two),
    ]
    assert all(scorer(learner, X[test]) > 0 for learner in learners)
    older = learners[2]
    del older._n_rows, older._mean_weight  # as in a model that an older version stored
    assert make_catalog_scorer(ndcg_at_k, X=np.concatenate([X, [[0, 10**6]]]))(older, X[test]) > 0
    assert older.partial_fit(one, y_one) is older


@pytest.mark.filterwarnings("ignore:.* users to score have no pairs in training")
def test_a_warm_start_from_a_file_does_not_know_its_rows(data, tmp_path):
    X, y = data
    train, test = next(CV.split(X))
    one, two = np.array_split(train, 2)
    frame = pd.DataFrame(X, columns=["user", "item"])
    frame.assign(rating=y).iloc[one].to_csv(tmp_path / "one.csv", index=False)
    learner = MatrixFactorizationRegressor(4, random_state=0, max_iter=3, warm_start=True)
    learner.fit(open_ratings(tmp_path / "one.csv")).fit(frame.iloc[two], y[two])
    assert make_catalog_scorer(ndcg_at_k, X=frame)(learner, frame.iloc[test]) > 0


KNOWS_MORE = r"but X of make_catalog_scorer has only \d+ .* outside of the fold\. .*Fit the model on the training part"
ESTIMATORS = [model(), model(keep_pairs=False), REGRESSOR]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_model_that_knows_more_than_x_outside_of_the_fold_gives_a_warning(estimator, data):
    X, y = data
    train, test = next(CV.split(X))
    whole, part = clone(estimator).fit(X, y), clone(estimator).fit(X[train], y[train])
    for fitted, table, fold in [(whole, X, test), (part, X, train), (part, X[test], test)]:
        with pytest.warns(UserWarning, match=KNOWS_MORE) as caught:
            make_catalog_scorer(ndcg_at_k, X=table)(fitted, X[fold])
        assert len(caught) == 1


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_search_on_the_training_part_with_the_test_part_gives_a_warning(estimator, data):
    X, y = data
    train, test = next(CV.split(X))
    scorer = make_catalog_scorer(ndcg_at_k, X=X[test])
    with pytest.warns(UserWarning, match=KNOWS_MORE):
        GridSearchCV(estimator, {"rank": [2]}, scoring=scorer, cv=CV).fit(X[train], y[train])


def test_the_number_of_known_pairs_is_that_of_the_users_in_the_fold(data):
    """A model that keeps pairs may have users that X does not have."""
    X, y = data
    train, test = next(CV.split(X))
    few = X[:, 0] < np.median(X[:, 0])
    fold = test[few[test]]
    fitted = model().fit(X[train], y[train])
    assert make_catalog_scorer(ndcg_at_k, X=X[few])(fitted, X[fold]) > 0
    with pytest.warns(UserWarning, match=rf"knows {few.sum()} pairs .* only {few.sum() - len(fold)} pairs of them"):
        make_catalog_scorer(ndcg_at_k, X=X[few])(model().fit(X, y), X[fold])


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("cv", [KFold(3, shuffle=True, random_state=0), CV], ids=lambda cv: type(cv).__name__)
@pytest.mark.filterwarnings("ignore:.* pairs to score are in training too")
def test_repeated_pairs_in_both_parts_give_none(estimator, cv, data):
    X, y = data
    rows = np.random.default_rng(0).integers(len(X), size=2 * len(X))
    scorer = make_catalog_scorer(ndcg_at_k, X=X[rows])
    assert (cross_val_score(estimator, X[rows], y[rows], scoring=scorer, cv=cv) > 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_test_pairs_of_weight_0_give_none(estimator, data):
    X, y = data
    train, test = next(CV.split(X))
    fitted = clone(estimator).fit(X, y, sample_weight=np.isin(np.arange(len(X)), train).astype(float))
    assert make_catalog_scorer(ndcg_at_k, X=X)(fitted, X[test]) > 0


def test_models_that_changed_after_fit_give_none(data):
    """As when new users are folded in, and X has only their pairs."""
    X, y = data
    old = X[:, 0] < np.median(X[:, 0])
    new = np.flatnonzero(~old)
    train, test = next(CV.split(X[new]))
    known = np.isin(X[new[train], 1], X[old, 1])
    train, test = new[train[known]], new[test]
    scorer = make_catalog_scorer(ndcg_at_k, X=X[np.concatenate([train, test])])
    for estimator in [model(), model(keep_pairs=False), MatrixFactorizationRegressor(4, random_state=0)]:
        grown = estimator.fit(X[old], y[old]).fold_in(X[train], y[train])
        assert scorer(grown, X[test]) > 0


def test_forgotten_users_give_none(data):
    X, y = data
    train, test = next(CV.split(X))
    gone = np.unique(X[:, 0])[:20]
    regressor = clone(REGRESSOR).fit(X[train], y[train]).forget(gone)
    kept = ~np.isin(X[:, 0], gone)
    assert make_catalog_scorer(ndcg_at_k, X=X[kept])(regressor, X[test[kept[test]]]) > 0


@pytest.mark.parametrize("metric", [catalog_coverage, novelty, functools.partial(catalog_coverage, catalog=[1])])
@pytest.mark.parametrize("make", [make_ranking_scorer, functools.partial(make_catalog_scorer, X=[[1, 2]])])
def test_metrics_of_lists_need_another_scorer(metric, make):
    name = getattr(metric, "func", metric).__name__
    with pytest.raises(TypeError, match=rf"{name} takes the lists of all users.*scorer\(estimator, X, y\)") as raised:
        make(metric)
    assert "make_scorer" not in str(raised.value)


def test_a_ranking_scorer_needs_ratings(data):
    X, _ = data
    message = r"make_ranking_scorer\(ndcg_at_k\) needs y, .*For clicks.*make_catalog_scorer\(ndcg_at_k, X=X\)"
    with pytest.raises(TypeError, match=message):
        make_ranking_scorer(ndcg_at_k)(model().fit(X), X)
    with pytest.warns(UserWarning, match=message):
        cross_val_score(model(), X, scoring=make_ranking_scorer(ndcg_at_k), cv=CV)


def test_a_search_has_a_best_estimator(data):
    X, _ = data
    search = GridSearchCV(model(), {"alpha": [0.1]}, cv=CV)
    for given in (search, search.fit(X)):
        with pytest.raises(TypeError, match=r"GridSearchCV has none\. Give .* search\.best_estimator_\.") as raised:
            make_catalog_scorer(ndcg_at_k, X=X)(given, X)
        assert "pipeline" not in str(raised.value)
    train, test = next(CV.split(X))
    assert make_catalog_scorer(ndcg_at_k, X=X)(search.best_estimator_.fit(X[train]), X[test]) > 0


def test_a_lowest_relevant_rating_above_the_scale_is_named(data):
    X, y = data
    train, test = next(CV.split(X))
    message = rf"no held-out pair that counts has .* least relevant=6\. The highest rating is {y[test].max():g}\."
    with pytest.warns(UndefinedMetricWarning, match=message):
        assert np.isnan(make_catalog_scorer(ndcg_at_k, X=X, relevant=6)(model().fit(X[train]), X[test], y[test]))
    with pytest.warns(UndefinedMetricWarning, match=message):
        assert np.isnan(model().set_params(relevant=6).fit(X[train]).score(X[test], y[test]))
