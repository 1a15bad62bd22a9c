"""Tune a model on MovieLens, recommend ten films to a user, and print films that are similar to the one rated most.

python benchmarks/recommendations.py --movielens 100k   # or 1m: downloaded, or found in --data-home FOLDER
python benchmarks/recommendations.py                    # on made ratings
"""

import argparse

import numpy as np
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils import Bunch

from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
from sklearn_mf.datasets import fetch_movielens, make_ratings
from sklearn_mf.metrics import make_catalog_scorer, make_ranking_scorer, ndcg_at_k, recall_at_k
from sklearn_mf.model_selection import PerUserShuffleSplit

GRID = {"rank": [0, 2, 4, 8, 16, 32, 64], "learning_rate": [0.05, 0.1, 0.2, 0.4]}
GENRES = ["Drama", "Comedy", "Crime", "War", "Western", "Musical", "Horror", "Romance"]
RELEVANT = 4  # from this rating on a film is one that the user liked


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movielens", choices=["100k", "1m", "latest-small"], help="without it, ratings are made")
    parser.add_argument("--data-home", metavar="FOLDER", help="where MovieLens is, or goes to")
    parser.add_argument(
        "--user", type=int, help="whom to recommend to; by default one with a middling number of ratings"
    )
    arguments = parser.parse_args()
    if arguments.data_home and not arguments.movielens:
        parser.error("--data-home is where --movielens looks: give that, too")
    return arguments


def load(arguments):
    """Ratings, and a title for each item."""
    if arguments.movielens:
        ratings = fetch_movielens(arguments.movielens, data_home=arguments.data_home)
        titles = dict(zip(ratings.movies.id, ratings.movies.title, strict=True))
        # Some films are there twice: each title gets its first id, so that no film is recommended that was seen.
        first = {title: item for item, title in reversed(titles.items())}
        X = np.column_stack([ratings.data[:, 0], [first[titles[item]] for item in ratings.data[:, 1]]])
        once = np.sort(np.unique(X, axis=0, return_index=True)[1])  # who rated both of them
        return Bunch(X=X[once], y=ratings.target[once], titles=titles)
    made = make_ratings(1000, 500, 80_000, rank=4, rating_step=1, noise=0.4, random_state=0)
    # Half of the genres like one end of a factor, half the other.
    strongest = np.abs(made.item_factors).argmax(axis=1)
    ends = np.take_along_axis(made.item_factors, strongest[:, None], axis=1)[:, 0] > 0
    titles = {item: f"{GENRES[2 * s + e]} {item}" for item, (s, e) in enumerate(zip(strongest, ends, strict=True))}
    return Bunch(X=made.data, y=made.target, titles=titles)


def tune(X, y):
    """Search over rank and learning rate for RMSE, and see what NDCG@10 says."""
    search = GridSearchCV(
        MatrixFactorizationRegressor(random_state=0),
        GRID,
        scoring={"rmse": "neg_root_mean_squared_error", "ndcg": make_ranking_scorer(ndcg_at_k, k=10)},
        refit="rmse",
        cv=KFold(3, shuffle=True, random_state=0),
    ).fit(X, y)
    results = search.cv_results_
    print("\nThe best learning rate of each rank, mean of three folds of the training part:")
    print("  rank  learning rate    RMSE  NDCG@10")
    for rank in GRID["rank"]:
        rows = np.flatnonzero(np.array(results["param_rank"]) == rank)
        best = rows[results["mean_test_rmse"][rows].argmax()]
        rate, rmse, ndcg = (results[name][best] for name in ("param_learning_rate", "mean_test_rmse", "mean_test_ndcg"))
        print(f"  {rank:>4}  {rate:>13}  {-rmse:.4f}   {ndcg:.4f}")
    print(f"best for RMSE: {search.best_params_}")
    return search


def judge(models, X, y):
    """How well each model orders the held-out ratings of each user."""
    print("\nHeld-out fifth of each user's ratings:\n                   RMSE  NDCG@10  recall@10")
    for name, model in models.items():
        predicted = model.predict(X)
        ndcg = ndcg_at_k(y, predicted, groups=X[:, 0], k=10)
        recall = recall_at_k(y, predicted, groups=X[:, 0], k=10, relevant=RELEVANT)
        print(f"  {name:13}  {np.sqrt(np.mean((predicted - y) ** 2)):.4f}   {ndcg:.4f}     {recall:.4f}")


def judge_lists(models, data):
    """How many of the held-out films that a user liked are among ten of the whole catalog."""
    scorer = make_catalog_scorer(ndcg_at_k, X=data.X, relevant=RELEVANT)
    print("\nTen films of all, held-out fifth:\n                   NDCG@10")
    for name, model in models.items():
        print(f"  {name:13}  {scorer(model, data.X_test, data.y_test):.4f}")


def show_lists(ranker, regressor, user, X, titles):
    """The ten films that a user will most likely choose and like, beside those that would be rated best."""
    lists = [model.recommend([user], 10, exclude=X)[0][0] for model in (ranker, regressor)]
    texts = [[titles[item] for item in items] for items in lists]
    width = max(map(len, texts[0])) + 2
    print(f"\n{'What to offer (ranker)':{width}}Highest predicted rating (regressor)")
    for offered, rated in zip(*texts, strict=True):
        print(f"  {offered:{width}}{rated}")
    parts = ranker.explain([[user, lists[0][0]]], n_items=3)
    own = ", ".join(titles[item] for item in parts["items"][0])
    print(f"{texts[0][0]} is offered because of {own}")


def show_films(model, user, X, y, titles):
    """What a user liked, the ten films for them, and why the first; what is like the film rated most."""
    own = np.flatnonzero(X[:, 0] == user)
    liked = own[np.argsort(-y[own], kind="stable")[:5]]
    print(f"\nUser {user} rated {len(own)} films, of these highest:")
    for row in liked:
        print(f"  {y[row]:.1f}  {titles[X[row, 1]]}")
    items, ratings = model.recommend([user], 10, exclude=X)
    print("Ten films for them, with predicted ratings:")
    for item, rating in zip(items[0], ratings[0], strict=True):
        print(f"  {rating:.2f}  {titles[item]}")
    parts = model.explain([[user, items[0, 0]]])
    print(
        f"Why {titles[items[0, 0]]}: {parts.intercept[0]:.2f} is the mean of all ratings, {parts.user_bias[0]:+.2f} "
        f"comes from how this user rates, {parts.item_bias[0]:+.2f} from how the film is rated, and "
        f"{parts.interaction[0]:+.2f} from how the two suit each other."
    )
    ids, counts = np.unique(X[:, 1], return_counts=True)
    favorite = ids[counts.argmax()]
    similar, cosines = model.similar_items([favorite], 5)
    print(f"Most like {titles[favorite]}, which is rated most:")
    for item, cosine in zip(similar[0], cosines[0], strict=True):
        print(f"  {cosine:.2f}  {titles[item]}")


def main():
    arguments = read_arguments()
    data = load(arguments)
    users, counts = np.unique(data.X[:, 0], return_counts=True)
    user = users[np.argsort(counts, kind="stable")[len(users) // 2]] if arguments.user is None else arguments.user
    if user not in users:
        raise SystemExit(f"no ratings of user {user}: take one of {users[0]}, ..., {users[-1]}")
    train, test = next(PerUserShuffleSplit(1, test_size=0.2, random_state=0).split(data.X))
    for part, rows in (("train", train), ("test", test)):
        data[f"X_{part}"], data[f"y_{part}"] = data.X[rows], data.y[rows]
    print(f"{len(data.y)} ratings of {len(np.unique(data.X[:, 1]))} films by {len(users)} users")

    search = tune(data.X_train, data.y_train)
    biases = MatrixFactorizationRegressor(rank=0, implicit_features=None).fit(data.X_train, data.y_train)
    judge({"biases only": biases, "factorization": search.best_estimator_}, data.X_test, data.y_test)

    ranker = MatrixFactorizationRanker(random_state=0).fit(data.X_train, data.y_train)
    judge_lists({"ranker": ranker, "factorization": search.best_estimator_}, data)

    final = MatrixFactorizationRegressor(**search.best_params_, random_state=0).fit(data.X, data.y)
    show_films(final, user, data.X, data.y, data.titles)
    show_lists(MatrixFactorizationRanker(random_state=0).fit(data.X, data.y), final, user, data.X, data.titles)


if __name__ == "__main__":
    main()
