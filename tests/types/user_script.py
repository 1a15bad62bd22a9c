"""Use everything public as a user does, and say of which type each result is.

mypy and pyright read this script; a test runs it. ``assert_type`` is an error of the type checker if a result has
another type.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_mf import (
    MatrixFactorizationEncoder,
    MatrixFactorizationRanker,
    MatrixFactorizationRegressor,
    MostPopularRecommender,
    load_model,
    save_model,
)
from sklearn_mf.datasets import (
    RatingsFile,
    load_ratings,
    make_ratings,
    open_ratings,
    pairs_from_sparse,
    pairs_to_sparse,
)
from sklearn_mf.metrics import (
    auc_by_group,
    catalog_coverage,
    make_catalog_scorer,
    make_ranking_scorer,
    ndcg_at_k,
    novelty,
    precision_at_k,
    ranking_of_lists,
)
from sklearn_mf.model_selection import (
    GlobalTimeSplit,
    LeaveLastOut,
    PerUserShuffleSplit,
    WarmShuffleSplit,
    prequential_predict,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type

    from sklearn_mf.datasets import fetch_movielens
else:

    def assert_type(value, _):
        return value


Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
Lists = tuple[np.ndarray, Floats]


def read_ratings() -> tuple[NDArray[np.int64], Floats]:
    ratings = make_ratings(60, 40, 900, rating_step=1, random_state=0)
    print(ratings.data.shape, ratings.target.mean())
    X, y = make_ratings(60, 40, 900, rating_step=1, random_state=0, return_X_y=True)
    assert_type(X, NDArray[np.int64])
    assert_type(y, Floats)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.csv"
        pd.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y}).to_csv(path, index=False)
        assert_type(load_ratings(path, return_X_y=True), tuple[np.ndarray, Floats])
        print(load_ratings(str(path)).feature_names)
        assert_type(open_ratings(path), RatingsFile)
        assert_type(open_ratings(path).feature_names, list[str] | None)
        assert_type(open_ratings(path).n_ratings, int)
    matrix, users, items = pairs_to_sparse(X, y)
    assert_type(users, np.ndarray)
    assert_type(items, np.ndarray)
    assert_type(pairs_from_sparse(matrix), tuple[np.ndarray, np.ndarray])
    return X, y


def read_movielens() -> None:
    """Read the largest set with all options; this is for type checkers only, because it downloads."""
    assert_type(fetch_movielens("100k", return_X_y=True), tuple[NDArray[np.int64], Floats])
    X, y = fetch_movielens("100k", return_X_y=True, as_frame=True)
    assert_type(X, pd.DataFrame)
    assert_type(y, pd.Series)
    print(fetch_movielens("32m", as_frame=True).movies)


def predict_ratings(X: NDArray[np.int64], y: Floats) -> MatrixFactorizationRegressor:
    model = MatrixFactorizationRegressor(rank=4, loss="squared_error", damping=(4, 5.0), random_state=0)
    assert_type(model.fit(X[:800], y[:800]), MatrixFactorizationRegressor)
    assert_type(model.fit(X[:800], y[:800]).partial_fit(X[800:], y[800:]).n_iter_, int)
    assert_type(model.fold_in([[1000, 1], [1000, 2]], [4, 5]).forget([1000]), MatrixFactorizationRegressor)
    assert_type(model.set_params(n_jobs=1).fit(X, y, X_val=None), MatrixFactorizationRegressor)

    assert_type(model.categories_, list[np.ndarray])
    assert_type(model.factors_, list[Rows])
    assert_type(model.biases_, list[Rows])
    assert_type((model.user_biases_, model.item_biases_), tuple[Rows, Rows])
    assert_type((model.user_factors_, model.item_factors_), tuple[Rows, Rows])
    assert_type(model.intercept_, float)
    assert_type(model.damping_, Floats)
    assert_type(model.penalty_scale_, float)
    assert_type(model.rating_range_, tuple[float, float])
    assert_type(model.loss_curve_, list[float])
    assert_type(model.validation_scores_, list[float])
    assert_type(model.best_validation_score_, float | None)
    assert_type(model.n_features_in_, int)

    assert_type(model.predict(X), Floats)
    assert_type(model.predict(X, return_std=False), Floats)
    assert_type(model.predict(X, return_std=True), tuple[Floats, Floats])
    expected, deviations = model.predict(X, return_std="mean")
    print(expected - deviations)
    assert_type(model.score(X, y), float)
    for part in model.explain(X[:3]).values():
        print(part)
    return model


def recommend(model: MatrixFactorizationRegressor, X: NDArray[np.int64], as_frame: bool) -> None:
    items, ratings = model.recommend([3, 14], 5, exclude=X, by="lower")
    assert_type(items, np.ndarray)
    assert_type(ratings, Floats)
    assert_type(model.recommend([3], as_frame=False), Lists)
    assert_type(model.recommend([3], as_frame=True), pd.DataFrame)
    print(model.recommend([3], as_frame=True).head())
    print(model.recommend([3], as_frame=as_frame))
    assert_type(model.recommend_users([1], 3), Lists)
    assert_type(model.recommend_users([1], 3, as_frame=True), pd.DataFrame)
    assert_type(model.similar_items([1], 3), Lists)
    assert_type(model.similar_users([1], 3, as_frame=True), pd.DataFrame)
    assert_type(model.recommend_from([["new", 1]], [5.0], n_items=3), tuple[np.ndarray, np.ndarray, Floats])
    assert_type(model.recommend_from([["new", 1]], [5.0], as_frame=True), pd.DataFrame)


def store(model: MatrixFactorizationRegressor, baseline: MostPopularRecommender) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "model.npz")
        loaded = load_model(str(Path(folder) / "model.npz"))
        save_model(baseline, str(Path(folder) / "baseline.npz"))
    assert_type(
        loaded,
        MatrixFactorizationRegressor | MatrixFactorizationRanker | MatrixFactorizationEncoder | MostPopularRecommender,
    )
    if isinstance(loaded, MatrixFactorizationRegressor):
        assert_type(loaded.predict([[1, 2]]), Floats)
    elif isinstance(loaded, MostPopularRecommender):
        assert_type(loaded.popularity_, Floats)


def rank_items(X: NDArray[np.int64], y: Floats) -> None:
    train, test = next(PerUserShuffleSplit(1, random_state=0).split(X))
    ranker = MatrixFactorizationRanker(8, alpha="auto", handle_unknown="warn", random_state=0).fit(X[train], y[train])
    assert_type(ranker, MatrixFactorizationRanker)
    assert_type(ranker.fold_in([[1000, 1]], [5.0]), MatrixFactorizationRanker)
    assert_type(ranker.factors_, list[Rows])
    assert_type(ranker.item_factors_, Rows)
    assert_type((ranker.alpha_, ranker.damping_), tuple[float, float])
    assert_type(ranker.objective_curve_, list[float])
    assert_type(ranker.n_iter_, int)
    assert_type(ranker.predict(X), Floats)
    assert_type(ranker.recommend([3], 5), Lists)
    assert_type(ranker.recommend([3], 5, exclude=None, as_frame=True), pd.DataFrame)
    assert_type(ranker.recommend_users([3], 5), Lists)
    assert_type(ranker.similar_items([3], 5, as_frame=True), pd.DataFrame)
    assert_type(ranker.recommend_from([["new", 1]], [5.0]), tuple[np.ndarray, np.ndarray, Floats])
    assert_type(ranker.score(X[test], y[test]), float)
    print(ranker.explain(X[:3], n_items=None).shares)
    baseline = MostPopularRecommender(handle_unknown="warn").fit(X[train])
    assert_type(baseline, MostPopularRecommender)
    assert_type(baseline.popularity_, Floats)
    assert_type(baseline.recommend([3], 5), Lists)
    assert_type(baseline.recommend([3], 5, as_frame=True), pd.DataFrame)
    assert_type(baseline.score(X[test]), float)


def encode(X: NDArray[np.int64], y: Floats) -> None:
    encoder = MatrixFactorizationEncoder(MatrixFactorizationRegressor(rank=2), cv=3, random_state=0)
    assert_type(encoder.fit_transform(X, y), Floats)
    assert_type(encoder.fit(X, y), MatrixFactorizationEncoder)
    assert_type(encoder.fit(X, y).transform(X), Floats)
    assert_type(encoder.get_feature_names_out(["user", "item"]), NDArray[np.object_])
    assert_type(encoder.regressor_, MatrixFactorizationRegressor)
    assert_type(encoder.regressor_.user_factors_, Rows)


def route_metadata(X: NDArray[np.int64], y: Floats) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = MatrixFactorizationRegressor(rank=2).set_fit_request(sample_weight=True, X_val=False)
        assert_type(model, MatrixFactorizationRegressor)
        model = model.set_partial_fit_request(y_old="earlier").set_predict_request(return_std=None)
        assert_type(model.set_score_request(sample_weight=True), MatrixFactorizationRegressor)
        ranker = MatrixFactorizationRanker().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        assert_type(ranker, MatrixFactorizationRanker)
        assert_type(MatrixFactorizationEncoder().set_fit_request(sample_weight=True), MatrixFactorizationEncoder)
        pipeline = make_pipeline(MatrixFactorizationEncoder(model, cv=2).set_fit_request(sample_weight=False))
        print(pipeline.fit_transform(X, y).shape)


def measure(model: MatrixFactorizationRegressor, X: NDArray[np.int64], y: Floats) -> None:
    y_score, groups = model.predict(X), X[:, 0]
    assert_type(ndcg_at_k(y, y_score, groups=groups, k=5), float)
    assert_type(precision_at_k(y, y_score, groups=groups, relevant=4), float)
    assert_type(auc_by_group(y, y_score, groups=groups, relevant=4), float)
    users = model.categories_[0]
    recommended, _ = model.recommend(users, 5)
    assert_type(catalog_coverage(recommended, catalog=model.categories_[1]), float)
    assert_type(novelty(recommended, X=X), float)
    ranking = ranking_of_lists(recommended, X_test=X, y_test=y, users=users)
    assert_type(ndcg_at_k(**ranking, k=5), float)
    assert_type(make_ranking_scorer(ndcg_at_k, k=5)(model, X, y), float)
    train, test = next(PerUserShuffleSplit(1, random_state=0).split(X))
    on_a_part = MatrixFactorizationRegressor(2, max_iter=2).fit(X[train], y[train])
    assert_type(make_catalog_scorer(ndcg_at_k, X=X, k=5)(on_a_part, X[test], y[test]), float)


def split(X: NDArray[np.int64], y: Floats) -> Any:
    times = np.arange(len(X))
    for splitter in (
        WarmShuffleSplit(1, random_state=0),
        LeaveLastOut(1, times=times),
        GlobalTimeSplit(800, times=times),
    ):
        train, test = next(splitter.split(X))
        assert_type(train, np.ndarray)
        assert_type(test, np.ndarray)
    assert_type(GlobalTimeSplit(test_size=0.1, times=times).get_n_splits(), int)
    assert_type(PerUserShuffleSplit(3, test_size=0.1).n_splits, int)
    model = MatrixFactorizationRegressor(rank=2, max_iter=2, random_state=0)
    result = prequential_predict(model.fit(X[:500], y[:500]), X[500:], y[500:], batch_size=200, return_std=True)
    print(result.y_pred, result.y_std)
    return GridSearchCV(model, {"rank": [0, 2], "max_iter": [1, 2]}, cv=WarmShuffleSplit(2, random_state=0)).fit(X, y)


def draw(model: MatrixFactorizationRegressor, search: Any, X: NDArray[np.int64], y: Floats) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from sklearn_mf import plotting

    curve = plotting.LossCurveDisplay.from_estimator(model)
    assert_type(curve, plotting.LossCurveDisplay)
    assert_type(curve.ax_, Axes)
    assert_type(curve.line_, Line2D)
    assert_type(curve.validation_line_, Line2D | None)
    assert_type(curve.plot(), plotting.LossCurveDisplay)
    items = plotting.ItemMapDisplay.from_estimator(model, n_labels=3)
    assert_type([text.get_text() for text in items.text_], list[str])
    predicted = plotting.PredictedRatingsDisplay.from_estimator(model, X, y, kind="box")
    assert_type(predicted.y_true, Floats)
    errors = plotting.ErrorByActivityDisplay.from_predictions(y, model.predict(X), X=X, X_train=X, bins=2)
    assert_type(errors.lines_, list[Line2D])
    intervals = plotting.IntervalDisplay.from_estimator(model, X, y)
    assert_type(intervals.coverage_, float)
    scores = plotting.SearchHeatMapDisplay.from_search(search, kind="heatmap")
    assert_type(scores.y_values, list[Any] | None)
    assert_type(scores.best, tuple[int, ...])
    plt.close("all")


def fit_on_a_cluster(X: NDArray[np.int64], y: Floats) -> None:
    import dask.array as da
    from distributed import Client

    from sklearn_mf.dask import DaskMatrixFactorizationRanker, DaskMatrixFactorizationRegressor

    lazy_X, lazy_y = da.from_array(X), da.from_array(y)
    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as client:
        model = DaskMatrixFactorizationRegressor(rank=2, max_iter=2, random_state=0, client=client)
        assert_type(model.fit(lazy_X, lazy_y), DaskMatrixFactorizationRegressor)
        assert_type(model.fit(lazy_X, lazy_y).to_local(), MatrixFactorizationRegressor)
        assert_type(model.user_factors_, Rows)
        ranker = DaskMatrixFactorizationRanker(rank=2, max_iter=2, random_state=0, client=client)
        assert_type(ranker.fit(lazy_X, lazy_y).to_local(), MatrixFactorizationRanker)
        assert_type(ranker.objective_curve_, list[float])


def main() -> None:
    X, y = read_ratings()
    model = predict_ratings(X, y)
    recommend(model, X, as_frame=True)
    store(model, MostPopularRecommender().fit(X))
    rank_items(X, y)
    encode(X, y)
    route_metadata(X, y)
    measure(model, X, y)
    draw(model, split(X, y), X, y)


if __name__ == "__main__":
    main()
    fit_on_a_cluster(*make_ratings(60, 40, 900, random_state=0, return_X_y=True))
