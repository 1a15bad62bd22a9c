"""Check how large initial factors are and that the grid does not change them."""

from unittest import mock

import numpy as np
import pytest
from helpers.descent import HYPER, ONE, set_up

from sklearn_mf._training.parameters import initial_parameters


@pytest.mark.parametrize("n_fields", [2, 20])
def test_interactions_start_small_whatever_the_number_of_columns(n_fields):
    grid = mock.Mock(row_of=[np.arange(500) + 500 * f for f in range(n_fields)], row_weights=np.ones(500 * n_fields))
    parameters = initial_parameters(grid, HYPER, np.random.default_rng(0), ONE)
    rows = [parameters.rows[500 * f : 500 * (f + 1)] for f in range(n_fields)]
    interactions = sum((rows[f] * rows[g]).sum(axis=1) for g in range(n_fields) for f in range(g))
    # A spread of 0.4, for steps of at least 0.1 and a thousand ratings.
    assert np.std(interactions) == pytest.approx(0.4 * HYPER.learning_rate / 0.1 * (500 / 1000) ** 0.5, rel=0.2)


def test_initial_factors_do_not_depend_on_the_grid():
    drawn = []
    for n_groups in (1, 4):
        grid, _ = set_up(n_groups=n_groups)
        parameters = initial_parameters(grid, HYPER, np.random.default_rng(2), ONE)
        drawn.append(parameters.in_order(grid.row_of, HYPER.rank)[0])
    for one, four in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, four)
