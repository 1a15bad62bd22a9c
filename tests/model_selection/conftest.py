"""Ratings with times of the tests of splits."""

import pytest
from helpers.splitting import ratings_with_times


@pytest.fixture(scope="session")
def data():
    return ratings_with_times()
