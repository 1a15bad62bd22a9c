"""A cluster of three processes, which the tests of this folder share."""

import pytest

pytest.importorskip("distributed", reason="distributed is not installed")

import logging

from distributed import Client, LocalCluster


@pytest.fixture(scope="session")
def cluster():
    with LocalCluster(
        n_workers=3,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        host="127.0.0.1",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    """A client of the cluster once it has all of its workers, those that were killed started again."""
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(3, timeout=30)
        yield client
