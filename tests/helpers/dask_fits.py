"""Look into fits on a Dask cluster, from the client."""

import time

from sklearn_mf._training.progress import Callback


def count_seats(dask_worker):
    return len(dask_worker.plugins["sklearn_mf"].seats) if "sklearn_mf" in dask_worker.plugins else 0


def task_names(dask_scheduler):
    return [str(key) for key in dask_scheduler.tasks]


for function in (count_seats, task_names):
    function.__module__ = "__main__"  # the cluster does not have this file: it is sent the function


def wait_until(is_so):
    """Wait for what must become so soon."""
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def wait_until_nothing_is_left(client):
    """Wait until workers have no fit and the scheduler no task."""
    wait_until(lambda: not sum(client.run(count_seats).values()))
    wait_until(lambda: not client.run_on_scheduler(task_names))


def after_epoch(monkeypatch, number, strike):
    """Call ``strike()`` once the client has been told of so many epochs."""
    told, end_round = [], Callback.end_round

    def count(self, *args):
        told.append(1)
        if len(told) == number:
            strike()
        return end_round(self, *args)

    monkeypatch.setattr(Callback, "end_round", count)
    return told
