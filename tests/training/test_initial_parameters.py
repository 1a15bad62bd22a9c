"""Check how large initial factors are, and what they depend on."""

import dataclasses

import numpy as np
import pytest
from helpers.descent import HYPER, ONE
from helpers.grids import grid_of

from sklearn_mf._training.parameters import initial_parameters


@pytest.mark.parametrize("n_fields", [2, 20])
def test_interactions_start_small_whatever_the_number_of_columns(n_fields):
    _, grid = grid_of((500,) * n_fields, n=1000)
    grid = dataclasses.replace(grid, row_weights=np.ones_like(grid.row_weights))
    parameters = initial_parameters(grid, HYPER, np.random.default_rng(0), ONE)
    rows = [parameters.rows[500 * f : 500 * (f + 1)] for f in range(n_fields)]
    interactions = sum((rows[f] * rows[g]).sum(axis=1) for g in range(n_fields) for f in range(g))
    # A spread of 0.4, for steps of at least 0.1 and a thousand ratings.
    assert np.std(interactions) == pytest.approx(0.4 * HYPER.learning_rate / 0.1, rel=0.2)


@pytest.mark.parametrize("sizes", [(40, 30), (40, 30, 7)])
def test_initial_factors_do_not_depend_on_the_number_of_groups(sizes):
    """They belong to places, which are drawn before the groups are chosen."""
    drawn = []
    for n_groups in (1, 4):
        _, grid = grid_of(sizes, n_groups=n_groups)
        drawn.append(initial_parameters(grid, HYPER, np.random.default_rng(2), ONE).table)
    assert drawn[0].any()
    np.testing.assert_array_equal(*drawn)
