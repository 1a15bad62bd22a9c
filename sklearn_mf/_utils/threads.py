"""Run plain threads over kernel calls that release the GIL; none outlives the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import threadpool_limits


class Threads:
    """Run ``n`` threads for the length of a ``with``; a single one is the caller's own, and no other is started."""

    def __init__(self, n: int = 1):
        self.n = n
        self._pool = ThreadPoolExecutor(n) if n > 1 else None

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def map(self, function: Callable[[Any], Any], tasks: Iterable) -> list:
        """Call ``function`` with each of the tasks; return the results in order, or raise what a task raised."""
        tasks = list(tasks)
        if self._pool is None or len(tasks) < 2:
            return [function(task) for task in tasks]
        return list(self._pool.map(function, tasks))


def chunks(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of at most ``size``; they depend on n alone, never on the threads."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


class _OneBlasThread:
    """Limit the BLAS of the process: the first to enter sets the limit, the last to leave takes it back."""

    def __init__(self) -> None:
        self._lock, self._n_inside = Lock(), 0

    def enter(self) -> None:
        """Set the limit, unless it is set."""
        with self._lock:
            if self._n_inside == 0:
                self._limits = threadpool_limits(1, user_api="blas")
            self._n_inside += 1

    def leave(self) -> None:
        """Take the limit back, unless others are inside."""
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._limits.restore_original_limits()


_ONE_BLAS_THREAD = _OneBlasThread()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS on one thread, however many threads are in here at once."""
    _ONE_BLAS_THREAD.enter()
    try:
        yield
    finally:
        _ONE_BLAS_THREAD.leave()
