"""Check programs on the workers of a real cluster."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("distributed")

from helpers.dask_programs import (
    count_threads,
    dawdle_at_shard_1,
    every_transfer,
    fail_at_shard_1,
    mix,
    mixed,
    send_and_overwrite,
    transfer,
)
from helpers.shards import on_shards

from sklearn_mf.dask._check import find_workers
from sklearn_mf.dask._team import Team
from sklearn_mf.dask._transport import Patience

ROWS = np.arange(12.0)


def go_on(event):
    return False


def assert_same(result, expected):
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == expected.dtype
    elif isinstance(expected, dict):
        assert result.keys() == expected.keys()
        for key in expected:
            assert_same(result[key], expected[key])
    else:
        assert len(result) == len(expected)
        for one, other in zip(result, expected, strict=True):
            assert_same(one, other)


def seats(client):
    """Fits that each worker has a seat for."""
    return client.run(
        lambda dask_worker: list(dask_worker.plugins["sklearn_mf"].seats) if "sklearn_mf" in dask_worker.plugins else []
    )


def assert_nothing_is_left(client):
    end = time.monotonic() + 10
    while any(seats(client).values()):
        assert time.monotonic() < end, seats(client)
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("kind", "n_workers"),
    [("client", 3), ("client_of_threads", 1), ("client_of_threads", 2), ("client_of_threads", 3)],
)
def test_transfers_are_those_without_a_cluster(request, kind, n_workers):
    client = request.getfixturevalue(kind)
    workers = dict(list(find_workers(client).items())[:n_workers])
    results = Team(client, workers, f"transfer{n_workers}").run(transfer, [(5,)] * n_workers, go_on)
    assert_same(results, on_shards(n_workers, lambda shard: every_transfer(shard, 5)))
    assert_nothing_is_left(client)


def test_program_runs_to_its_end_or_until_it_is_told_to_stop(client_of_threads):
    workers, events = find_workers(client_of_threads), []
    results = Team(client_of_threads, workers, "end").run(mix, [(ROWS, 4)] * 3, lambda event: events.append(event))
    np.testing.assert_array_equal(np.concatenate(results), mixed(ROWS, 4))
    assert [epoch for epoch, _ in events] == [1, 2, 3, 4]

    results = Team(client_of_threads, workers, "stop").run(mix, [(ROWS, 4)] * 3, lambda event: event[0] == 2)
    np.testing.assert_array_equal(np.concatenate(results), mixed(ROWS, 2))


def test_arrays_that_were_received_belong_to_the_receiver(client_of_threads):
    """Workers of one process hand over the same memory: here the sender writes to it as soon as it was received."""
    results = Team(client_of_threads, find_workers(client_of_threads), "owned").run(send_and_overwrite, [()] * 3, go_on)
    assert_same(results, [np.full(4, 3.0), np.full(4, 1.0), np.full(4, 2.0)])


def test_arguments_may_be_futures(client_of_threads):
    rows = client_of_threads.scatter(ROWS)
    results = Team(client_of_threads, find_workers(client_of_threads), "futures").run(mix, [(rows, 2)] * 3, go_on)
    np.testing.assert_array_equal(np.concatenate(results), mixed(ROWS, 2))


def test_fits_at_once_do_not_wait_for_each_other(client_of_threads):
    """On workers of one thread, in opposite orders."""
    workers = dict(list(find_workers(client_of_threads).items())[:2])
    teams = [
        Team(client_of_threads, dict(sorted(workers.items(), reverse=k % 2 == 1)), f"at-once-{k}") for k in range(3)
    ]
    with ThreadPoolExecutor(len(teams)) as pool:
        futures = [pool.submit(team.run, mix, [(ROWS + k, 8)] * 2, go_on) for k, team in enumerate(teams)]
        for k, future in enumerate(futures):
            np.testing.assert_array_equal(np.concatenate(future.result(timeout=30)), mixed(ROWS + k, 8))
    assert_nothing_is_left(client_of_threads)


def test_worker_that_is_slow_but_answers_is_waited_for(client_of_threads):
    patience = Patience(timeout=0.1, ping_limit=5)
    team = Team(client_of_threads, find_workers(client_of_threads), "slow", patience=patience)
    results = team.run(mix, [(ROWS, 3, 0, dawdle_at_shard_1)] * 3, go_on)
    np.testing.assert_array_equal(np.concatenate(results), mixed(ROWS, 3))


def test_threads_are_those_of_the_worker_or_n_jobs(client_of_threads):
    workers = find_workers(client_of_threads)
    for n_jobs, n_threads in [(None, 1), (2, 2)]:
        assert (
            Team(client_of_threads, workers, f"threads-{n_jobs}", n_jobs).run(count_threads, [()] * 3, go_on)
            == [n_threads] * 3
        )


def test_threads_of_a_worker_that_may_start_no_process(client):
    """As workers that a nanny has started."""
    team = Team(client, find_workers(client), "threads-2", 2)
    assert team.run(count_threads, [()] * 3, go_on) == [2] * 3


def test_error_of_a_program_is_raised_as_it_is(client_of_threads):
    team = Team(client_of_threads, find_workers(client_of_threads), "fails")
    with pytest.raises(ValueError, match=r"^alpha is wrong$"):
        team.run(mix, [(ROWS, 4, 0, fail_at_shard_1)] * 3, go_on)
    assert_nothing_is_left(client_of_threads)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_error_at_the_client_leaves_nothing_on_workers(client_of_threads, error):
    def fail(event):
        raise error

    with pytest.raises(error):
        Team(client_of_threads, find_workers(client_of_threads), f"client-{error.__name__}").run(
            mix, [(ROWS, 4)] * 3, fail
        )
    assert_nothing_is_left(client_of_threads)
