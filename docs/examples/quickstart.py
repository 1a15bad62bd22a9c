"""
From ratings to a tuned model
=============================

Split ratings, search for rank and learning rate, compare with simple models, predict
new ratings, recommend items, and save the model. Run the script as it is, or on a file
of your ratings (user, item and rating on each line):

.. code-block:: sh

   python docs/examples/quickstart.py
   python docs/examples/quickstart.py --ratings ratings.csv
"""

# %%
# Get ratings
# -----------
# ``X`` has a row for each rating: the id of a user and the id of an item. ``y`` has the
# ratings. Without a file, the script makes 100,000 ratings from 0.5 to 5 stars.

import argparse
import importlib.util
import time

import joblib
import numpy as np
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings, make_ratings

parser = argparse.ArgumentParser(description="From ratings to a tuned model.")
parser.add_argument("--ratings", metavar="FILE", help="without it, ratings are made")
parser.add_argument("--save", metavar="FILE", default="quickstart_model.joblib")
arguments = parser.parse_args()

start = time.perf_counter()
if arguments.ratings:
    X, y = load_ratings(arguments.ratings, return_X_y=True)
else:
    X, y = make_ratings(
        2000, 1000, 100_000, rating_step=0.5, random_state=0, return_X_y=True
    )
print(f"{len(y)} ratings; first: user {X[0, 0]}, item {X[0, 1]}, rating {y[0]:g}")

# %%
# Search for the best settings
# ----------------------------
# Hold out a tenth of the ratings for the final test. On the rest, cross-validation
# tries each pair of a rank and a learning rate: 9 pairs in 3 folds, 27 fits. The
# defaults are in the middle. Search ``alpha`` and ``max_iter`` next.

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
grid = {"rank": [16, 32, 64], "learning_rate": [0.1, 0.15, 0.2]}
search = GridSearchCV(
    MatrixFactorizationRegressor(random_state=0),
    grid,
    scoring="neg_root_mean_squared_error",
    cv=3,  # no shuffle needed: train_test_split has shuffled the rows
)
search.fit(X_train, y_train)

results = search.cv_results_
print("mean RMSE of 3 folds")
for settings, score in zip(results["params"], results["mean_test_score"], strict=True):
    rank, learning_rate = settings["rank"], settings["learning_rate"]
    print(f"  rank {rank:>2}, learning rate {learning_rate:<4}: {-score:.4f}")
print(f"best: {search.best_params_}")

# %%
# With matplotlib, the same table as a picture:

if importlib.util.find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    from sklearn_mf.plotting import SearchHeatMapDisplay

    SearchHeatMapDisplay.from_search(search)
    plt.show()

# %%
# Compare with simpler models
# ---------------------------
# The errors on the held-out tenth show how much better the model is than the mean of
# all ratings, and than a model with biases only.

model = search.best_estimator_
biases = MatrixFactorizationRegressor(rank=0, implicit_features=None, random_state=0)
biases.fit(X_train, y_train)
mean = np.full(len(y_test), y_train.mean())
print("RMSE on the held-out tenth")
print(f"  global mean    {root_mean_squared_error(y_test, mean):.4f}")
print(f"  biases only    {root_mean_squared_error(y_test, biases.predict(X_test)):.4f}")
print(f"  factorization  {root_mean_squared_error(y_test, model.predict(X_test)):.4f}")

# %%
# Recommend items
# ---------------
# ``recommend`` returns the items with the highest predicted ratings. ``exclude=X``
# leaves out the items that a user has rated.

users = np.unique(X[:, 0])[:5]
items, ratings = model.recommend(users, 3, exclude=X)
for user, top, predicted in zip(users, items, ratings, strict=True):
    listed = ", ".join(f"{i} ({r:.2f})" for i, r in zip(top, predicted, strict=True))
    print(f"user {user}: items {listed}")

# %%
# Save the model
# --------------
# Load it again with ``joblib.load``.

joblib.dump(model, arguments.save)
print(f"saved to {arguments.save}; {time.perf_counter() - start:.1f} s in all")
