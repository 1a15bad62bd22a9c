"""
How sure predictions are
========================

``predict(X, return_std=True)`` returns a standard deviation for each rating. This
example checks with held-out ratings if the deviations are right.
"""

# %%
# Predict ratings and deviations
# ------------------------------
# ``fit`` needs no option for this. The interval goes from 1.645 deviations below a
# prediction to 1.645 deviations above it. It should contain 90 % of the ratings.

import matplotlib.pyplot as plt

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import PerUserShuffleSplit
from sklearn_mf.plotting import IntervalDisplay

made = make_ratings(
    1_000, 500, 80_000, rank=4, rating_step=1, noise=0.4, random_state=0
)
X, y = made.data, made.target
split = PerUserShuffleSplit(1, test_size=0.2, random_state=0)
train, test = next(split.split(X))

model = MatrixFactorizationRegressor(rank=4, learning_rate=0.2, random_state=0)
model.fit(X[train], y[train])
predicted, deviation = model.predict(X[test][:5], return_std=True)
for pair, rating, std in zip(X[test][:5], predicted, deviation, strict=True):
    print(f"user {pair[0]}, item {pair[1]}: {rating:.2f} ± {std:.2f}")

# %%
# Compare with the errors
# -----------------------
# Left: ratings are sorted by their predicted deviation into five bins. A point on the
# line has an RMSE that equals the deviation. Above the line, the model is too sure.
# Right: the share of ratings in their interval, for the same bins, and for items and
# users from few to many training ratings. Vertical lines are 95 % intervals.

display = IntervalDisplay.from_estimator(model, X[test], y[test], X_train=X[train])
plt.show()

# %%
# The numbers behind the picture are attributes of the display.

print(f"in the 90 % interval: {100 * display.coverage_:.1f} % of the ratings")
print("by deviation, from low to high:", (100 * display.by_std_.coverage).round(1))
