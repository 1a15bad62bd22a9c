"""Read files in small batches, and put batches together again."""

import numpy as np


def make_batches_small(monkeypatch, n_rows, n_characters=None):
    """Set the rows of a batch, and the characters of a part of a text (about 16 a row)."""
    for module in ("_ids.batches", "datasets._text_batches", "datasets._parquet"):
        monkeypatch.setattr(f"sklearn_mf.{module}.ROWS_OF_A_BATCH", n_rows)
    monkeypatch.setattr("sklearn_mf.datasets._text._CHARACTERS_OF_A_PART", n_characters or 16 * n_rows)


def put_together(ratings):
    """Ids as objects, ratings, weights or None, and the number of batches."""
    batches = list(ratings.batches())
    columns = [
        np.concatenate([np.asarray(batch.columns[j].values, dtype=object) for batch in batches])
        for j in range(ratings.n_columns)
    ]
    weights = None if batches[0].weights is None else np.concatenate([batch.weights for batch in batches])
    return np.stack(columns, axis=1), np.concatenate([batch.y for batch in batches]), weights, len(batches)
