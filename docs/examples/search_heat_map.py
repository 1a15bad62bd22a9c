"""
A search for rank and learning rate
===================================

Search two hyperparameters with two metrics, and draw the scores with
:class:`~sklearn_mf.plotting.SearchHeatMapDisplay`.
"""

# %%
# Search
# ------
# ``GridSearchCV`` fits each pair of values on three folds. ``make_ranking_scorer``
# makes a scorer of a ranking metric: NDCG@10 of the held-out ratings of each user.

import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.metrics import make_ranking_scorer, ndcg_at_k
from sklearn_mf.plotting import SearchHeatMapDisplay

made = make_ratings(
    1_000, 500, 40_000, rank=4, rating_step=1, noise=0.4, random_state=0
)
X, y = made.data, made.target
search = GridSearchCV(
    MatrixFactorizationRegressor(random_state=0),
    {"learning_rate": [0.05, 0.1, 0.2, 0.4], "rank": [0, 2, 4, 8, 16, 32]},
    scoring={
        "neg_root_mean_squared_error": "neg_root_mean_squared_error",
        "NDCG@10": make_ranking_scorer(ndcg_at_k, k=10),
    },
    refit="neg_root_mean_squared_error",
    cv=KFold(3, shuffle=True, random_state=0),
)
search.fit(X, y)
print("best:", search.best_params_)

# %%
# Draw the RMSE
# -------------
# The brighter a cell, the better. The best cell has a frame. The made ratings have four
# factors: a lower ``rank`` is worse, and a higher one is hardly worse.

SearchHeatMapDisplay.from_search(search)

# %%
# Draw the ranking metric
# -----------------------
# ``scores`` chooses a metric. The colors span at least a tenth of the score, so small
# differences look small.

SearchHeatMapDisplay.from_search(search, scores="NDCG@10")
plt.show()
