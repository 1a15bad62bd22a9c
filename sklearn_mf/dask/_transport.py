"""Send arrays between Dask workers that share a fit, and keep the state of the fit on each worker.

Messages use the connections between Dask workers. Each message goes to a handler of the other worker.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Any, TypeVar

import numpy as np
from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.protocol import to_serialize

from sklearn_mf._training.shard import ConnectedShard
from sklearn_mf._utils.threads import Threads

T = TypeVar("T")

MOST_UNDER_WAY = 8  # most messages of a shard that are sent but have not arrived
LONGEST_WAIT = 60.0  # longest single wait in seconds, because Python refuses very long ones
PLUGIN = "sklearn_mf"
TIMEOUTS = (TimeoutError, asyncio.TimeoutError, concurrent.futures.TimeoutError)  # the same since Python 3.11


class WorkerLostError(RuntimeError):
    """Signal that a worker does not answer."""

    def __init__(self, address: str):
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return f"The Dask worker {self.address} does not answer. It has died, is suspended, or has no connection."


class FitEndedError(RuntimeError):
    """Signal that a worker does not have a fit, or no longer has it."""


@dataclass(frozen=True)
class Patience:
    """Describe how long to wait for workers.

    Parameters
    ----------
    timeout : float, default=30
        Seconds without news from a worker. After this time, the worker is asked whether it is alive.

    ping_limit : float, default=20
        Seconds to wait for the answer.
    """

    timeout: float = 30.0
    ping_limit: float = 20.0


class WorkerShard(ConnectedShard):
    """Work on a Dask worker.

    Parameters
    ----------
    index : int
        Number of this shard.

    addresses : list of str
        The worker of each shard.

    fit : str
        Unique name of this attempt of this fit.

    worker : distributed.Worker
        The worker of this process.

    threads : Threads
        Threads that do the work of the shard.

    patience : Patience
        How long to wait for other workers.
    """

    def __init__(
        self, index: int, addresses: list[str], fit: str, worker: Worker, threads: Threads, patience: Patience
    ):
        super().__init__(index, len(addresses), threads)
        self._addresses, self._fit, self._worker, self._patience = addresses, fit, worker, patience
        self._loop = worker.loop.asyncio_loop
        self._changed = Condition()  # its lock protects the attributes below
        self._messages: dict[tuple, list[np.ndarray]] = {}
        self._under_way: Counter[int] = Counter()  # messages to each shard that have not arrived
        self._deliveries: set[concurrent.futures.Future] = set()
        self._error: BaseException | None = None

    def send(self, shard: int, tag: tuple[int, ...], arrays: list[np.ndarray]) -> None:
        """Send arrays. Nobody may change them until they are received. Errors are raised by a later call."""

        def take_room() -> bool | None:
            if sum(self._under_way.values()) >= MOST_UNDER_WAY:
                return None
            self._under_way[shard] += 1
            return True

        self._wait(take_room, self._receivers)
        delivery = asyncio.run_coroutine_threadsafe(self._deliver(shard, tag, arrays), self._loop)
        with self._changed:
            self._deliveries.add(delivery)
            has_ended = self._error is not None
        delivery.add_done_callback(self._deliveries.discard)
        if has_ended:
            delivery.cancel()

    def receive(self, shard: int, tag: tuple[int, ...]) -> list[np.ndarray]:
        """Wait for the message of a shard with this tag; raise an error if the message can no longer arrive."""
        return self._wait(lambda: self._messages.pop((shard, *tag), None), lambda: [shard])

    def flush(self) -> None:
        """Wait until all messages have arrived."""
        self._wait(lambda: not sum(self._under_way.values()) or None, self._receivers)

    def put(self, sender: int, tag: tuple[int, ...], arrays: list[np.ndarray]) -> None:
        """Keep a message until it is received."""
        if self._worker.address.startswith("inproc"):  # in this case, the arrays belong to the sender
            arrays = [np.array(array) for array in arrays]
        with self._changed:
            if self._error is None:
                self._messages[(sender, *tag)] = list(arrays)
            self._changed.notify_all()

    def end(self, error: BaseException) -> None:
        """Make all waiting calls, now and later, raise an error. If ``end`` is called again, the first error stays."""
        with self._changed:
            self._error = self._error or error
            self._messages.clear()
            deliveries = list(self._deliveries)
            self._changed.notify_all()
        for delivery in deliveries:
            delivery.cancel()

    def _wait(self, attempt: Callable[[], T | None], peers: Callable[[], list[int]]) -> T:
        """Call ``attempt`` until its result is not None. From time to time, ask ``peers`` whether they are alive."""
        while True:
            with self._changed:
                deadline = monotonic() + self._patience.timeout
                while (seconds := deadline - monotonic()) > 0:
                    if self._error is not None:
                        raise self._error
                    if (result := attempt()) is not None:
                        return result
                    self._changed.wait(min(seconds, LONGEST_WAIT))
                silent = peers()
            for shard in silent:
                self._ping(shard)

    def _receivers(self) -> list[int]:
        """Return the shards that have not yet received all messages to them."""
        return [shard for shard, n in self._under_way.items() if n]

    def _ping(self, shard: int) -> None:
        """Raise an error unless a shard answers in time and has this fit."""
        address, limit = self._addresses[shard], self._patience.ping_limit

        async def ask() -> bool:
            return await asyncio.wait_for(self._worker.rpc(address).sklearn_mf_ping(fit=self._fit), limit)

        try:
            has_fit = asyncio.run_coroutine_threadsafe(ask(), self._loop).result(2 * limit)
            error = None if has_fit else FitEndedError(f"The Dask worker {address} no longer has the fit.")
        except (OSError, *TIMEOUTS):
            error = WorkerLostError(address)
        if error is not None:
            self.end(error)
            raise error

    async def _deliver(self, shard: int, tag: tuple[int, ...], arrays: list[np.ndarray]) -> None:
        """Send a message, and wait until it has arrived."""
        address, error = self._addresses[shard], None
        try:
            is_taken = await self._worker.rpc(address).sklearn_mf_message(
                fit=self._fit,
                sender=self.index,
                tag=[int(number) for number in tag],
                arrays=[to_serialize(array) for array in arrays],
            )
            if not is_taken:
                error = FitEndedError(f"The Dask worker {address} does not have the fit.")
        except OSError:
            error = WorkerLostError(address)
        except Exception as other:
            error = other
        finally:
            with self._changed:
                self._under_way[shard] -= 1
                self._error = self._error or error
                self._changed.notify_all()


class Seat:
    """Hold the program of a shard between its steps.

    Parameters
    ----------
    shard : WorkerShard
        The shard of the program.
    """

    def __init__(self, shard: WorkerShard):
        self.shard = shard
        self._program: Generator | None = None
        self._n_steps = 0
        self._running = Lock()

    def begin(self, program: Generator) -> tuple[bool, Any]:
        """Run a program to its first event."""
        with self._running:
            self._count_step(0)
            self._program = program
            return self._run(next, program)

    def go_on(self, number: int, stop: bool) -> tuple[bool, Any]:
        """Tell the program whether to stop, and run it to its next event. ``number`` is the number of the step."""
        with self._running:
            self._count_step(number)
            return self._run(self._program.send, stop)

    def leave(self, error: Exception) -> None:
        """Wake all waiting calls with an error, and drop the program after its current step."""
        self.shard.end(error)
        Thread(target=self._clean_up, daemon=True).start()

    def _count_step(self, number: int) -> None:
        """Raise an error for a step that was already run, because Dask may start a task twice."""
        if number != self._n_steps or (self._program is None and number > 0):
            raise FitEndedError(f"Step {number} of a fit cannot be run after {self._n_steps} steps.")
        self._n_steps += 1

    def _run(self, resume: Callable, *arguments: Any) -> tuple[bool, Any]:
        """Run a step and wait until its messages have arrived. Return whether it is the last; its event or result."""
        try:
            is_over, value = False, resume(*arguments)
        except StopIteration as stop:
            is_over, value = True, stop.value
        self.shard.flush()
        return is_over, value

    def _clean_up(self) -> None:
        """Close the program after its current step."""
        with self._running:
            if self._program is not None:
                self._program.close()
            self._program, self._n_steps = None, -1
            self.shard.threads.__exit__()


class FitPlugin(WorkerPlugin):
    """Keep the fits that a worker takes part in.

    A fit stays on a worker as long as its *anchor* stays. The anchor is a task whose only purpose is to show that the
    client still wants the fit. If the client cancels the fit, closes or dies, Dask drops the task. Then the worker
    drops the fit.
    """

    name = PLUGIN

    def setup(self, worker: Worker) -> None:
        """Register the handlers of messages."""
        self.worker, self.seats = worker, {}
        self._fits: dict[str, str] = {}  # the fit of each anchor
        worker.handlers["sklearn_mf_message"] = self.take_message
        worker.handlers["sklearn_mf_ping"] = self.answer_ping

    def teardown(self, worker: Worker) -> None:
        """End all fits."""
        for anchor in list(self._fits):
            self._drop(anchor)

    def transition(self, key: str, start: str, finish: str, **kwargs: Any) -> None:
        """Drop a fit when its anchor is dropped."""
        if finish in ("released", "forgotten") and key in self._fits:
            self._drop(key)

    def add(self, anchor: str, fit: str, shard: WorkerShard) -> None:
        """Take part in a fit."""
        self.seats[fit], self._fits[anchor] = Seat(shard), fit

    def seat(self, fit: str) -> Seat:
        """Return the seat of a fit."""
        if fit not in self.seats:
            raise FitEndedError(f"The Dask worker {self.worker.address} does not have the fit.")
        return self.seats[fit]

    def take_message(self, fit: str, sender: int, tag: tuple[int, ...], arrays: list[np.ndarray]) -> bool:
        """Keep a message if its fit is here; return whether it is."""
        seat = self.seats.get(fit)
        if seat is not None:
            seat.shard.put(sender, tag, arrays)
        return seat is not None

    def answer_ping(self, fit: str) -> bool:
        """Return whether a fit is here."""
        return fit in self.seats

    def _drop(self, anchor: str) -> None:
        """End a fit."""
        seat = self.seats.pop(self._fits.pop(anchor), None)
        if seat is not None:
            seat.leave(FitEndedError(f"The fit on the Dask worker {self.worker.address} was canceled."))
