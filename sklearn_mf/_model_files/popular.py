"""Write the baseline of most popular items as values and arrays, and read it."""

from __future__ import annotations

from sklearn_mf._base import frozen_copy, levels_of
from sklearn_mf._model_files.entries import Draft, Part
from sklearn_mf._model_files.ids import put_ids, take_levels
from sklearn_mf._model_files.parameters import put_parameters, take_parameters, validate
from sklearn_mf._model_files.ranker import put_pairs, take_pairs
from sklearn_mf._model_files.regressor import put_names, put_row_count, take_names, take_row_count
from sklearn_mf._popular import MostPopularRecommender


def put_popular(draft: Draft, model: MostPopularRecommender) -> None:
    """Add a fitted baseline."""
    frozen = frozen_copy(model)
    put_parameters(draft, frozen)
    put_names(draft, frozen)
    put_row_count(draft, frozen)
    levels = levels_of(frozen)
    for f in range(2):
        put_ids(draft.part(f"column{f}"), levels, f)
    draft.put("popularity", frozen.popularity_, "f8")
    if frozen._seen_pairs is not None:
        put_pairs(draft.part("pairs"), frozen._seen_pairs)


def take_popular(part: Part) -> MostPopularRecommender:
    """Return the baseline."""
    parameters = take_parameters(part, MostPopularRecommender)
    model = validate(part, MostPopularRecommender(**parameters))
    if take_names(part, model) != 2:
        part.fail("n_columns", "is not 2")
    take_row_count(part, model)
    columns = [part.part(f"column{f}") for f in range(2)]
    levels = take_levels(columns)
    for column in columns:
        column.end()
    n_users, n_items = levels.counts
    model.popularity_ = part.array("popularity", "f8", (n_items,), 0)
    model._seen_pairs = take_pairs(part.part("pairs"), n_users, n_items) if part.has("pairs") else None
    model._take_levels(levels)
    part.end()
    return model
