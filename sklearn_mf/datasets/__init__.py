"""Load ratings from a file or the web, generate them, and turn sparse matrices into pairs and back."""

from sklearn_mf.datasets._convert import pairs_from_sparse, pairs_to_sparse
from sklearn_mf.datasets._files import load_ratings
from sklearn_mf.datasets._generated import make_ratings
from sklearn_mf.datasets._movielens import fetch_movielens
from sklearn_mf.datasets._open import RatingsFile, open_ratings

__all__ = [
    "RatingsFile",
    "fetch_movielens",
    "load_ratings",
    "make_ratings",
    "open_ratings",
    "pairs_from_sparse",
    "pairs_to_sparse",
]
