"""Share docstring sections among the ranking metrics: each text is written once and filled in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TypeVar

Metric = TypeVar("Metric", bound=Callable[..., float])

_PARAMETERS = {
    "y_true": """\
y_true : array-like of shape (n_ratings,)
    True ratings.
""",
    "y_score": """\
y_score : array-like of shape (n_ratings,)
    Predicted ratings, or any scores to rank by: higher is better.
""",
    "groups": """\
groups : array-like of shape (n_ratings,)
    Ids of the users: ints, text, categoricals and so on. Ratings are ranked within each group. Groups need
    not be users.
""",
    "relevant": """\
relevant : float
    Lowest rating that counts as relevant.
""",
    "k": """\
k : int or None, default=10
    Number of top ranks of each group that count, at least 1. With None, all ranks count.
""",
    "sample_weight": """\
sample_weight : array-like of shape (n_ratings,), default=None
    Weights, at least 0. A rating of weight 0 is left out. The weight of a group is the mean weight of its
    remaining ratings.
""",
}

_SHARED_TEXTS = {
    **_PARAMETERS,
    "all_parameters": "\n".join(_PARAMETERS.values()),
    "raises_for_relevant_and_k": """\
Raises
------
ValueError
    If lengths differ; if an input is empty, or has NaN or infinity; if ``k`` or ``relevant`` is out of range; if
    ``groups`` and ``y_true`` have pandas indexes that differ.
TypeError
    If ``k`` or ``relevant`` is not a number of the type described above.
""",
    "see_also_scorer": """\
See Also
--------
make_ranking_scorer : Makes a scorer for searches; scikit-learn's ``make_scorer`` cannot pass groups.
""",
    "reference_for_ties": """\
McSherry and Najork (2008). "Computing information retrieval performance measures efficiently in the presence of
tied scores." ECIR. (Mean over all orders of ties.)
""",
}


def fill_shared_texts(metric: Metric) -> Metric:
    """Replace each line ``{name}`` in the docstring of a metric by the shared text of that name."""
    if metric.__doc__ is not None:  # python -OO removes docstrings
        docstring = inspect.cleandoc(metric.__doc__)
        docstring = re.sub(r"^\{(\w+)\}$", lambda line: _SHARED_TEXTS[line[1]], docstring, flags=re.MULTILINE)
        metric.__doc__ = re.sub(r"\n{3,}", "\n\n", docstring)
    return metric
