"""
A map of the items
==================

A model places items that the same users like close to each other.
:class:`~sklearn_mf.plotting.ItemMapDisplay` draws this map.
"""

# %%
# Make ratings with genres
# ------------------------
# In these ratings, the taste of a user has two dimensions. A film is a point in this
# plane. We name the direction of the point after a genre. So the same users like the
# films of one genre. The model does not see the genres.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.plotting import ItemMapDisplay

GENRES = ["Drama", "Crime", "War", "Western", "Action", "Sci-Fi", "Comedy", "Romance"]

ratings = make_ratings(1_000, 200, 40_000, rank=2, rating_step=1, random_state=0)
angles = np.arctan2(*ratings.item_factors.T) / (2 * np.pi) + 0.5  # from 0 to 1
titles = {
    item: f"{GENRES[int(len(GENRES) * angle) % len(GENRES)]} {item}"
    for item, angle in enumerate(angles)
}
print(f"{len(ratings.target)} ratings of {len(titles)} films, such as {titles[0]}")

# %%
# Fit and draw
# ------------
# Each point is a film. The labels are the films farthest from the center, because they
# say the most about the two directions. Genres form groups around the center: the model
# has found them in the ratings alone. The color is the bias of a film: a dark point is
# a film that all users like.

model = MatrixFactorizationRegressor(rank=2, random_state=0)
model.fit(ratings.data, ratings.target)
ItemMapDisplay.from_estimator(model, labels=titles, n_labels=14)

# %%
# Label the most popular films
# ----------------------------
# With ``X_train``, the films with the most ratings get a label. A label that would
# cover another one is moved or left out. The note above the map says how many fit.

ItemMapDisplay.from_estimator(model, X_train=ratings.data, labels=titles, n_labels=20)
plt.show()

# %%
# The map has two directions. If ``rank`` is larger, the map shows the two directions
# along which the items differ the most. The axes say what share of the variance they
# hold. To compare items in all directions, use ``similar_items``.
