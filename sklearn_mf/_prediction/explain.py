"""Split predictions into their parts."""

from __future__ import annotations

import numpy as np

from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.model import Model
from sklearn_mf._utils.threads import Threads


def explain(fitted: FittedModel, columns: list[Column], threads: Threads) -> dict[str, np.ndarray]:
    """Split predictions into their parts, as ``MatrixFactorizationRegressor.explain`` documents."""
    rating = fitted.predict(columns, threads)  # also reports unknown ids
    model, indices = fitted.model, fitted.levels.encode(columns, threads)
    known = [
        np.where(column < 0, np.float32(0), bias[np.maximum(column, 0)] if len(bias) else np.float32(0))
        for bias, column in zip(model.biases, indices.T, strict=True)
    ]
    no_biases = [np.zeros(len(bias), dtype=np.float32) for bias in model.biases]
    pair = Model(model.factors[:2], no_biases[:2], 0.0)
    interaction = pair.scores(np.ascontiguousarray(indices[:, :2]), threads)
    context = np.zeros(len(rating))
    if len(columns) > 2:
        context = Model(model.factors, no_biases, 0.0).scores(indices, threads) - interaction
        context += np.sum(known[2:], axis=0, dtype=np.float64)
    terms = {
        "intercept": np.full(len(rating), model.intercept),
        "user_bias": known[0].astype(np.float64),
        "item_bias": known[1].astype(np.float64),
        "context": context,
        "interaction": interaction,
    }
    return {**terms, "score": np.sum(list(terms.values()), axis=0), "rating": rating}
