"""Run a program from the client on workers of a Dask cluster, one shard on each worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from sklearn_mf.dask._checkpoints import Checkpoints
from sklearn_mf.dask._tasks import Place, Program, run_first_step, run_step, take_place
from sklearn_mf.dask._transport import TIMEOUTS, FitEndedError, Patience, WorkerLostError

SLICE = 0.5  # seconds between two checks of the workers that the scheduler still has
END_LIMIT = 10.0  # seconds to end a worker; a nanny needs four for a suspended process


class TeamLostError(RuntimeError):
    """Signal that workers were lost during a fit.

    Parameters
    ----------
    lost : list of str
        Addresses of these workers. Empty if all workers answer again.
    """

    def __init__(self, lost: Sequence[str]):
        super().__init__(list(lost))
        self.lost = list(lost)

    def __str__(self) -> str:
        who = ", ".join(self.lost) or "all of them answer again now"
        return f"Dask workers died or did not answer during a fit: {who}."


class Team:
    """Run one attempt of a fit on workers.

    Parameters
    ----------
    client : Client
        Client of the cluster.

    workers : dict of str to str
        Id of each worker by its address, from ``find_workers``. The first worker has shard 0.

    fit : str
        Unique name of this attempt of this fit.

    n_jobs : int or None
        Number of threads of a shard. None means as many as the worker has.

    patience : Patience
        How long to wait for workers.
    """

    def __init__(
        self,
        client: Client,
        workers: dict[str, str],
        fit: str,
        n_jobs: int | None = None,
        patience: Patience | None = None,
    ):
        self._client, self._ids, self._addresses = client, workers, list(workers)
        self._fit, self._n_jobs, self._patience = fit, n_jobs, patience or Patience()
        self._anchors: list[Future] = []

    @property
    def addresses(self) -> list[str]:
        """The workers, in the order of shards."""
        return self._addresses

    def gather(self, futures: list[Future]) -> list[Any]:
        """Return the results of tasks on the workers of the team; do not wait for lost workers.

        Raises
        ------
        TeamLostError
            If workers die or do not answer.
        """
        return self._gather(futures)

    def scatter(self, value: Any) -> Future:
        """Send a value to each worker of the team.

        Raises
        ------
        TeamLostError
            If workers die or do not answer.
        """
        [future] = self._sync(
            lambda: self._client.scatter(
                [value], workers=self._addresses, broadcast=True, hash=False, asynchronous=True
            )
        )
        return future

    def run(
        self,
        program: Program,
        args: Sequence[Sequence[Any]],
        on_event: Callable[[Any], bool],
        checkpoints: Checkpoints | None = None,
        events: Sequence[Any] = (),
        may_stop: bool = True,
    ) -> list[Any]:
        """Run ``program(shard, *args[k])`` on the worker of each shard k; return the results in the order of shards.

        Parameters
        ----------
        program : callable
            Generator function. At the end of each epoch it yields a pair ``(event, save)``, and receives whether to
            stop. ``save()`` returns the rows of this shard as a dict of arrays. ``save`` is None if there is nothing
            to save.

        args : sequence of tuples
            Arguments for each shard. They may contain futures.

        on_event : callable
            Is called with each event of shard 0; returns whether to stop.

        checkpoints : Checkpoints, default=None
            Where the shards save their rows.

        events : sequence, default=()
            Events of earlier attempts, up to the checkpoint.

        may_stop : bool, default=True
            Whether ``on_event`` may return True. If not, workers begin the next step before the client has received
            the event of the previous step.

        Raises
        ------
        TeamLostError
            If workers die or do not answer.
        """
        checkpoints, events = checkpoints or Checkpoints(None, None, self._fit), list(events)
        places = [self._place(index, checkpoints) for index in range(len(self._addresses))]
        running, following = [], []
        try:
            self._anchors = [self._submit(place, "anchor", take_place) for place in places]
            self._gather(self._anchors)

            n_before = len(events)

            def to_save(number: int) -> int | None:
                """Return the epoch of a step if the shards save after this epoch."""
                epoch = n_before + number + 1
                return epoch if checkpoints.is_due(epoch) else None

            def submit(number: int, stop: bool, before: list[Future]) -> list[Future]:
                after = before or [None] * len(places)
                return [
                    self._submit(place, f"epoch-{number}", run_step, to_save(number), number, stop, last)
                    for place, last in zip(places, after, strict=True)
                ]

            first = [(to_save(0), program, *rest) for rest in args]
            running = [
                self._submit(place, "epoch-0", run_first_step, *rest) for place, rest in zip(places, first, strict=True)
            ]
            for number in count(1):
                following = [] if may_stop else submit(number, False, running)
                steps = self._gather(running)
                if len({step.is_over for step in steps}) > 1:
                    raise RuntimeError("The shards of a fit do not end at the same step.")
                if steps[0].is_over:
                    with suppress(TeamLostError):  # lost workers do not matter: the results have arrived
                        self._gather(following)  # these steps do nothing, because the program is over
                    return [step.result for step in steps]
                events.append(steps[0].event)
                stop = bool(on_event(steps[0].event))
                if all(step.saved is not None for step in steps):
                    checkpoints.keep(len(events), events, [step.saved for step in steps], stop)
                running = following or submit(number, stop, [])
        finally:
            self._leave()
            for future in [*running, *following]:  # a traceback may refer to them
                future.release()

    def _place(self, index: int, checkpoints: Checkpoints) -> Place:
        """Describe the fit to the worker of a shard."""
        server_id = self._ids[self._addresses[index]]
        return Place(self._fit, index, self._addresses, server_id, self._n_jobs, self._patience, checkpoints.folder)

    def _submit(self, place: Place, step: str, function: Callable, *args: Any) -> Future:
        """Start a task on the worker of a shard, and on no other."""
        return self._client.submit(
            function,
            place,
            *args,
            key=place.key(step),
            workers=[self._addresses[place.index]],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

    def _gather(self, futures: list[Future]) -> list[Any]:
        """Wait for tasks and return their results."""
        return self._sync(lambda: self._client.gather(futures, asynchronous=True))

    def _sync(self, start: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
        """Wait for work on the workers. If it fails because workers were lost, find out which workers."""
        try:
            return self._client.sync(self._results, start)
        except (WorkerLostError, FitEndedError, KilledWorker, CancelledError, OSError, *TIMEOUTS) as error:
            self._leave()  # so that the other workers stop waiting
            lost = self._client.sync(self._lost) if self._client.status == "running" else []
            if not lost and not isinstance(error, (WorkerLostError, FitEndedError, KilledWorker)):
                raise
            raise TeamLostError(lost) from error

    def _leave(self) -> None:
        """Make all workers forget the fit."""
        for anchor in self._anchors:
            anchor.release()
        self._anchors = []

    async def _results(self, start: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
        """Wait for work. Raise an error if a worker is lost meanwhile."""
        results = asyncio.ensure_future(start())
        results.add_done_callback(_forget_error)  # it may fail later, when the tasks on the workers are released
        asked = monotonic()
        while not (await asyncio.wait([results], timeout=SLICE))[0]:
            lost = await self._gone()
            if not lost and monotonic() - asked > self._patience.timeout:
                lost, asked = await self._lost(), monotonic()
            if lost:
                raise TeamLostError(lost)
        return results.result()

    async def _gone(self) -> list[str]:
        """Return the workers that the scheduler no longer has."""
        here = await self._client.nthreads(self._addresses)
        return [address for address in self._addresses if address not in here]

    async def _lost(self) -> list[str]:
        """Return the workers that the scheduler no longer has, that do not answer in time, or that were started again.

        Workers that do not answer are stopped. Otherwise the scheduler would wait for data that only they have.
        """
        waiting = set(self._addresses) - set(await self._gone())
        pings = {address: asyncio.ensure_future(self._server_id(address)) for address in waiting}
        end = monotonic() + self._patience.ping_limit
        while waiting and monotonic() < end:
            await asyncio.wait([pings[address] for address in waiting], timeout=SLICE)
            waiting = {address for address in waiting if not pings[address].done()} - set(await self._gone())
        answers = {address: ping.result() for address, ping in pings.items() if ping.done()}
        for ping in pings.values():
            ping.cancel()  # has no effect if it is done
        if silent := [address for address in self._addresses if answers.get(address) is None]:
            await self._end(silent)
        return [address for address in self._addresses if answers.get(address) != self._ids[address]]

    async def _end(self, silent: list[str]) -> None:
        """Stop workers that do not answer. A nanny starts its worker again."""
        await self._client.scheduler.restart_workers(
            workers=silent,
            timeout=END_LIMIT,
            wait_for_workers=False,
            on_error="return",
            stimulus_id=f"sklearn_mf-silent-{self._fit}",
        )

    async def _server_id(self, address: str) -> str | None:
        """Ask a worker for its id; None if it cannot be reached."""
        answers = await self._client.scheduler.broadcast(msg={"op": "identity"}, workers=[address], on_error="ignore")
        return answers.get(address, {}).get("id")


def _forget_error(task: asyncio.Task) -> None:
    """Read the error of a task, so that asyncio does not report an error that nobody waits for."""
    if not task.cancelled():
        task.exception()
