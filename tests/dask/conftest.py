"""Clusters of three workers, which the tests of this folder share."""

import logging

import pytest
from helpers.dask_clusters import quick_processes


@pytest.fixture(scope="session")
def cluster():
    """A cluster of processes."""
    from distributed import LocalCluster

    with (
        quick_processes(),
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    """A client of the cluster once it has all of its workers, those that were killed started again."""
    from distributed import Client

    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(3, timeout=90)
        yield client


@pytest.fixture(scope="session")
def client_of_threads():
    """A client of workers that are threads of this process."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            processes=False,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
