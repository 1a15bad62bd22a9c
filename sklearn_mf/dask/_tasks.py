"""Define the tasks of a fit on a worker."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Worker, get_worker, secede
from distributed.utils import sync
from joblib import parallel_backend

from sklearn_mf._utils.threads import Threads, count_threads
from sklearn_mf.dask._checkpoints import write_arrays
from sklearn_mf.dask._transport import PLUGIN, FitEndedError, FitPlugin, Patience, WorkerLostError, WorkerShard

Program = Callable[..., Generator[tuple[Any, Callable[[], dict] | None], bool, Any]]


@dataclass(frozen=True)
class Place:
    """Describe the role of a worker in a fit.

    Parameters
    ----------
    fit : str
        Unique name of this attempt of this fit.

    index : int
        Number of the shard.

    addresses : list of str
        The worker of each shard.

    server_id : str
        Id of the worker process when the fit began.

    n_jobs : int or None
        Number of threads of the shard. None means as many as the worker has.

    patience : Patience
        How long to wait for other workers.

    folder : path or None
        Folder where the shards save their arrays. None sends the arrays to the client.
    """

    fit: str
    index: int
    addresses: list[str]
    server_id: str
    n_jobs: int | None
    patience: Patience
    folder: Path | None

    def key(self, step: str) -> str:
        """Return the name of a task. The dashboard groups tasks by the first words of their names."""
        return f"sklearn_mf-{step}-{self.fit}-{self.index}"


@dataclass(frozen=True)
class Step:
    """Hold the result of a step of a program: an event and the saved arrays, or the final result."""

    event: Any = None
    saved: dict[str, Any] | None = None
    is_over: bool = False
    result: Any = None


def take_place(place: Place) -> None:
    """Make this worker take part in a fit, until the client no longer needs this task."""
    worker = get_worker()
    if worker.id != place.server_id:  # a worker that was started again with the same address
        raise WorkerLostError(worker.address)
    if place.folder is not None and not place.folder.is_dir():
        raise ValueError(
            f"The Dask worker {worker.address} does not see the folder {str(place.folder)!r}, which the client "
            "has made. checkpoint_folder must be a folder that the client and all workers share."
        )
    with parallel_backend("threading"):  # otherwise joblib counts processes, and most workers must not start any
        n_threads = worker.state.nthreads if place.n_jobs is None else count_threads(place.n_jobs)
    shard = WorkerShard(place.index, place.addresses, place.fit, worker, Threads(n_threads), place.patience)
    sync(worker.loop, _plugin_of, worker).add(place.key("anchor"), place.fit, shard)


async def _plugin_of(worker: Worker) -> FitPlugin:
    """Return the plugin of a worker; the first fit installs it."""
    if PLUGIN not in worker.plugins:
        await worker.plugin_add(FitPlugin(), name=PLUGIN, catch_errors=False)
    return worker.plugins[PLUGIN]


def run_first_step(place: Place, epoch: int | None, program: Program, *args: Any) -> Step:
    """Start a program and run it to its first event. Then save its arrays if an epoch is given."""
    secede()  # so that steps that wait for each other do not block threads
    seat = _plugin_here(place).seat(place.fit)
    return _step(place, epoch, *seat.begin(program(seat.shard, *args)))


def run_step(place: Place, epoch: int | None, number: int, stop: bool, before: Step | None = None) -> Step:
    """Tell a program whether to stop, and run it to its next event. Then save its arrays if an epoch is given.

    ``before`` is the previous step. It makes Dask wait for that step, if this one was submitted before its end.
    """
    secede()
    return _step(place, epoch, *_plugin_here(place).seat(place.fit).go_on(number, stop))


def _plugin_here(place: Place) -> FitPlugin:
    """Return the plugin of this worker. Raise an error if the worker was started again and has no plugin."""
    worker = get_worker()
    if PLUGIN not in worker.plugins:
        raise FitEndedError(f"The Dask worker {worker.address} does not have the fit.")
    return worker.plugins[PLUGIN]


def _step(place: Place, epoch: int | None, is_over: bool, value: Any) -> Step:
    """Save the arrays of a program after an event, if an epoch is given."""
    if is_over:
        return Step(is_over=True, result=value)
    event, save = value
    if epoch is None or save is None:
        return Step(event)
    arrays = save()
    return Step(event, arrays if place.folder is None else write_arrays(place.folder, epoch, place.index, arrays))
