"""Ratings to start with: generated, from a file, from a sparse matrix."""

from sklearn_mf.datasets._convert import pairs_from_sparse
from sklearn_mf.datasets._files import load_ratings
from sklearn_mf.datasets._generated import make_ratings

__all__ = ["load_ratings", "make_ratings", "pairs_from_sparse"]
