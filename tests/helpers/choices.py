"""A grid of ratings in which some items are popular, and who rated what as a dense matrix."""

import dataclasses

import numpy as np

from helpers.descent import HYPER, grid_and_parameters

SIZES = (70, 50, 7)


def set_up(implicit_features="both", n_fields=2, n_groups=4, weighted=False, n=900, seed=0, **changed):
    """A grid, its parameters with random rows, and who rated what as a dense matrix in the order of the rows."""
    hyper = dataclasses.replace(HYPER, implicit_features=implicit_features, **changed)
    rng = np.random.default_rng(seed)
    sizes = SIZES[:n_fields]
    codes = [(size * rng.random(n) ** 2).astype(np.int32) for size in sizes]  # the first levels are popular
    for code, size in zip(codes, sizes, strict=True):
        code[:size] = np.arange(size)
    index = np.stack(codes, axis=1)
    weights = rng.uniform(0.1, 3, n) if weighted else None
    grid, parameters = grid_and_parameters(codes, rng.normal(size=n), weights, sizes, hyper, rng, n_groups)
    parameters.rows[:, : hyper.rank] = rng.normal(0, 0.5, (len(parameters.rows), hyper.rank))
    parameters.bias[:] = rng.normal(0, 0.5, len(parameters.rows))
    seen = np.zeros(sizes[:2])
    seen[grid.row_of[0][index[:, 0]], grid.row_of[1][index[:, 1]] - sizes[0]] = 1.0
    return grid, parameters, hyper, seen


def sides(parameters, hyper, grid, seen):
    """For users and for items: place of their rows, B, d of factors and of the bias."""
    n_users = len(seen)
    places = slice(0, n_users), slice(n_users, n_users + seen.shape[1])
    for place, who in zip(places, (seen, seen.T), strict=True):
        n = grid.row_weights[place]
        strengths = zip((hyper.alpha, hyper.alpha_bias), hyper.damping.of(int(place.start > 0)), strict=True)
        d = [alpha * n + damping for alpha, damping in strengths]
        yield place, who / np.sqrt(who.sum(axis=1, keepdims=True)), d
