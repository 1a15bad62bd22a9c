"""
Rank items from clicks
======================

Clicks, views and purchases have no ratings. ``MatrixFactorizationRanker`` learns from
them which items a user will choose next. This example compares it with a list of the
most popular items.
"""

# %%
# Make clicks
# -----------
# Users click on popular items, and on items that suit their taste. Each click is a row
# with a user and an item.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_mf import MatrixFactorizationRanker, MostPopularRecommender
from sklearn_mf.datasets import make_ratings
from sklearn_mf.metrics import ndcg_at_k, ranking_of_lists, recall_at_k
from sklearn_mf.model_selection import PerUserShuffleSplit

made = make_ratings(800, 400, 160_000, rank=4, tail=1.0, random_state=0)
rng = np.random.default_rng(0)
is_click = rng.uniform(size=160_000) < 1 / (1 + np.exp(10 - 2.5 * made.expected))
X = made.data[is_click]
print(f"{len(X)} clicks of 800 users on 400 items")

# %%
# Make lists for each user
# ------------------------
# A fifth of the clicks of each user is held out. Each list has ten items of the whole
# catalog, without those that the user has clicked on in the training part.
# ``MostPopularRecommender`` does not learn from users: it gives all of them the most
# popular items.

split = PerUserShuffleSplit(4, test_size=0.2, random_state=0)
found = {"most popular": [], "ranker": []}
for train, test in split.split(X):
    models = {
        "most popular": MostPopularRecommender(),
        "ranker": MatrixFactorizationRanker(rank=16, random_state=0),
    }
    for name, model in models.items():
        users = model.fit(X[train]).categories_[0]
        items, _ = model.recommend(users, 10)  # without the items of the training part
        ranking = ranking_of_lists(items, users, X[test], np.ones(len(test)))
        ndcg = ndcg_at_k(**ranking, k=10)
        recall = recall_at_k(**ranking, k=10, relevant=1)
        found[name].append([ndcg, recall])

# %%
# Compare
# -------
# NDCG@10 is high if held-out items come first in the list. Recall@10 is the share of
# the held-out items that are in the list. Large points are means. Beside them are the
# four random splits, as small points.

axes = plt.subplots(layout="constrained")[1]
for name, style, start in [("most popular", "C1s", -0.35), ("ranker", "C0o", 0.07)]:
    means = np.mean(found[name], axis=0)
    print(f"{name:12}  NDCG@10 {means[0]:.3f}  recall@10 {means[1]:.3f}")
    places = np.arange(2) + start
    for number, scores in enumerate(found[name], start=1):
        axes.plot(places + 0.03 + 0.06 * number, scores, style, ms=6, mfc="white")
    axes.plot(places, means, style, ms=10, label=f"{name}, mean")
axes.plot([], [], "ko", ms=6, mfc="white", label="one split")
axes.set_xticks([0, 1], ["NDCG@10", "recall@10"])
axes.set(xlim=(-0.6, 1.6), ylabel="mean of users")
axes.set_ylim(0, 1.7 * np.max([*found.values()]))
axes.legend(loc="upper left")
plt.show()

# %%
# Recommend
# ---------
# At the end, the model is fitted to all clicks. ``recommend`` leaves out the items that
# a user has clicked on.

ranker = MatrixFactorizationRanker(rank=16, random_state=0).fit(X)
items, scores = ranker.recommend([3, 14], 5)
print(items)
