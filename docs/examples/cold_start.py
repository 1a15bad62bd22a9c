"""
Add new users without a refit
=============================

``fold_in`` adds a user to a fitted model from a few ratings. This example shows how
many ratings a new user has to give.
"""

# %%
# Hold out new users
# ------------------
# The model is fitted without the ratings of 200 users. Each of them has 20 ratings that
# test the predictions. The model may learn from their other ratings.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

X, y = make_ratings(1_500, 400, 120_000, rank=4, random_state=0, return_X_y=True)
users, counts = np.unique(X[:, 0], return_counts=True)
new_users = users[counts >= 60][:200]
is_new = np.isin(X[:, 0], new_users)
model = MatrixFactorizationRegressor(rank=8, random_state=0)
model.fit(X[~is_new], y[~is_new])

rows_of = [np.flatnonzero(X[:, 0] == user) for user in new_users]
test = np.concatenate([rows[:20] for rows in rows_of])
print(f"{len(new_users)} new users, {len(test)} ratings to predict")

# %%
# Fold in more and more ratings
# -----------------------------
# An unknown user gets the mean rating and the bias of the item. ``fold_in`` solves for
# the bias and the factors of the user, and changes nothing else. ``update_known=True``
# replaces the bias and the factors from an earlier call.

GIVEN = [0, 1, 2, 4, 8, 16, 32]
errors = {}
for n in GIVEN:
    if n:
        given = np.concatenate([rows[20 : 20 + n] for rows in rows_of])
        model.fold_in(X[given], y[given], update_known=True)
    errors[n] = y[test] - model.predict(X[test])
    print(f"{n:2} ratings: RMSE {np.sqrt(np.mean(errors[n] ** 2)):.3f}")

# %%
# Compare with users of the fit
# -----------------------------
# The dashed line is the RMSE if the model is fitted with up to 32 ratings of each new
# user. Vertical lines are 95 % intervals, from the errors of the 200 users.

given = np.concatenate([rows[20:52] for rows in rows_of])
rows = np.append(np.flatnonzero(~is_new), given)
refitted = MatrixFactorizationRegressor(rank=8, random_state=0).fit(X[rows], y[rows])
refitted_rmse = np.sqrt(np.mean((y[test] - refitted.predict(X[test])) ** 2))

squares = np.array([errors[n].reshape(200, 20) ** 2 for n in GIVEN]).mean(axis=2)
rmse = np.sqrt(squares.mean(axis=1))
half = 1.96 * squares.std(axis=1) / np.sqrt(200) / (2 * rmse)

axes = plt.subplots(layout="constrained")[1]
axes.errorbar(range(len(GIVEN)), rmse, half, fmt="o-", capsize=3, label="fold_in")
axes.axhline(refitted_rmse, color="black", linestyle="--", label="new fit with 32")
axes.set_xticks(range(len(GIVEN)), GIVEN)
axes.set(xlabel="ratings of a new user", ylabel="test RMSE")
axes.set_ylim(0, 1.1 * (rmse + half).max())
axes.legend(loc="lower left")
plt.show()

# %%
# ``recommend`` works for the new users at once. ``recommend_from`` does the same for a
# visitor that the model must not store.

items, ratings = model.recommend(new_users[:1], 3, exclude=X)
print("user", new_users[0], "may like items", items[0])
