"""Hold what is trained on and what is looked for; find lists from scores. For every library's environment."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

K = 10
FORMS = ["pairs", "ratings", "relevant", "strengths"]  # what a library may be given, see `matrix`
STRENGTH, LARGEST = 0.4, 3.0


@dataclass
class Problem:
    """Hold one split: codes and ratings of the training pairs, users to find lists for, and who is relevant.

    ``shape`` counts users and items of the training pairs. ``relevant`` is the rating from which on a pair is relevant,
    -inf where every pair is.
    """

    X: np.ndarray
    y: np.ndarray
    users: np.ndarray
    shape: tuple
    relevant: float

    def forms(self):
        return [form for form in FORMS if form != "relevant" or np.isfinite(self.relevant)]

    def matrix(self, form):
        """Give the training pairs as a matrix of users and items, in the form that is named.

        pairs: 1 for each; ratings: as they are, those of 0 left out; relevant: 1 for each that is relevant; strengths:
        exp(0.4 z), z the standardized rating, within -3..3.
        """
        if form in ("pairs", "relevant"):
            values = np.ones(len(self.y)) if form == "pairs" else self.y >= self.relevant
        else:
            z = np.clip((self.y - self.y.mean()) / (self.y.std() or 1), -LARGEST, LARGEST)
            values = self.y if form == "ratings" else np.exp(STRENGTH * z)
        matrix = csr_matrix((values.astype(np.float32), tuple(self.X.T)), shape=self.shape)
        matrix.eliminate_zeros()
        return matrix

    def lists(self, scores_of, matrix=None):
        """Find the K best items that each of the users does not have; ``scores_of(users)`` gives rows of scores.

        Users who have nothing in ``matrix`` get the most popular items.
        """
        seen = self.matrix("pairs")
        popularity = np.asarray(seen.sum(axis=0)).ravel()
        is_empty = np.zeros(self.shape[0], bool) if matrix is None else np.diff(matrix.indptr) == 0
        found = []
        for users in np.array_split(self.users, 1 + len(self.users) // 1000):
            scores = np.array(scores_of(users), dtype=np.float32)
            scores[is_empty[users]] = popularity
            scores[seen[users].nonzero()] = -np.inf
            best = np.argpartition(-scores, K, axis=1)[:, :K]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
            best = np.take_along_axis(best, order, axis=1)
            found.append(np.where(np.isfinite(np.take_along_axis(scores, best, axis=1)), best, -1))
        return np.concatenate(found)

    def save(self, path):
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path):
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return cls(**{**arrays, "shape": tuple(arrays["shape"]), "relevant": float(arrays["relevant"])})
