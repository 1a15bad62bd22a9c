"""
Recommend films
===============

From a table of ratings to ten films for a user, with the reasons.
"""

# %%
# Make ratings of films
# ---------------------
# The title of a film is a genre and a number. The genre stands for the factor in which
# the film is strongest. The model does not see the titles.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.metrics import ndcg_at_k
from sklearn_mf.model_selection import PerUserShuffleSplit

GENRES = ["Drama", "Comedy", "Crime", "War", "Western", "Musical", "Horror", "Romance"]

made = make_ratings(
    1_000, 500, 80_000, rank=4, rating_step=1, noise=0.4, random_state=0
)
X, y, factors = made.data, made.target, made.item_factors
strongest = np.abs(factors).argmax(axis=1)
is_positive = factors[np.arange(500), strongest] > 0
genres = [GENRES[2 * s + end] for s, end in zip(strongest, is_positive, strict=True)]
titles = np.array([f"{genre} {item}" for item, genre in enumerate(genres)])
print(f"{len(y)} ratings of {len(titles)} films by {len(np.unique(X[:, 0]))} users")

# %%
# Check the model on held-out ratings
# -----------------------------------
# A fifth of each user's ratings is held out. RMSE tells how far predictions are off.
# NDCG@10 tells if the films that a user likes come first. A model of ``rank=0`` has
# only the means of users and films.

split = PerUserShuffleSplit(1, test_size=0.2, random_state=0)
train, test = next(split.split(X))
models = {
    "means only": MatrixFactorizationRegressor(rank=0, implicit_features=None),
    "factorization": MatrixFactorizationRegressor(rank=8, random_state=0),
}
for name, model in models.items():
    predicted = model.fit(X[train], y[train]).predict(X[test])
    rmse = np.sqrt(np.mean((predicted - y[test]) ** 2))
    ndcg = ndcg_at_k(y[test], predicted, groups=X[test][:, 0], k=10)
    print(f"{name:13}  RMSE {rmse:.3f}  NDCG@10 {ndcg:.3f}")

# %%
# Recommend ten films
# -------------------
# The final model learns from all ratings. ``exclude=X`` leaves out films that the user
# has already rated.

model = MatrixFactorizationRegressor(rank=8, random_state=0).fit(X, y)
user = 421
own = np.flatnonzero(X[:, 0] == user)
liked = own[np.argsort(-y[own], kind="stable")[:4]]
print(f"User {user} rated {len(own)} films, and likes", ", ".join(titles[X[liked, 1]]))

items, ratings = model.recommend([user], 10, exclude=X)
for item, rating in zip(items[0], ratings[0], strict=True):
    print(f"  {rating:.2f}  {titles[item]}")

# %%
# Explain the list
# ----------------
# A predicted rating is a sum: the mean of all ratings, the bias of the user, the bias
# of the film, and how the taste of the user suits the film. Bars show the last two. The
# first two are the same for each film of the list.

parts = model.explain(np.column_stack([np.full(10, user), items[0]]))
places = np.arange(10)[::-1]
axes = plt.subplots(layout="constrained")[1]
axes.barh(places, parts.item_bias, color="0.75", edgecolor="black", label="all like it")
axes.barh(
    places,
    parts.interaction,
    left=parts.item_bias,
    color="C0",
    edgecolor="black",
    hatch="//",
    label="suits the user",
)
axes.set_yticks(places, titles[items[0]])
base = parts.intercept[0] + parts.user_bias[0]
axes.set_xlabel(f"added to {base:.2f}, the usual rating of this user")
axes.set_xlim(0, 1.1 * (parts.item_bias + parts.interaction).max())
axes.set_ylim(-0.6, 11.4)  # room for the legend
axes.legend(loc="upper center", ncols=2, columnspacing=1, frameon=False)
plt.show()

# %%
# Find similar films
# ------------------
# Films are similar if the same users like them.

similar, cosines = model.similar_items([items[0, 0]], 5)
print("Similar to", titles[items[0, 0]])
for item, cosine in zip(similar[0], cosines[0], strict=True):
    print(f"  {cosine:.2f}  {titles[item]}")
