"""Run kernel calls that release the GIL in threads. No thread outlives the call."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any

from joblib import effective_n_jobs, parallel_backend
from joblib.parallel import get_active_backend
from threadpoolctl import LibController, ThreadpoolController


class Threads:
    """Run ``n`` threads during a ``with`` block. With ``n=1`` the thread of the caller does the work."""

    def __init__(self, n: int = 1):
        self.n = n
        self._pool = ThreadPoolExecutor(n) if n > 1 else None

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def map(self, function: Callable[[Any], Any], tasks: Iterable) -> list:
        """Call ``function`` with each task; return the results in order. An error in a task is raised here."""
        tasks = list(tasks)
        if self._pool is None or len(tasks) < 2:
            return [function(task) for task in tasks]
        return list(self._pool.map(function, tasks))


def count_threads(n_jobs: int | None, are_of_use: bool = True) -> int:
    """Return the number of threads for ``n_jobs``, as in joblib; 1 if more threads are of no use."""
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning. Give a number of threads, -1 for all processors, or None.")
    if not are_of_use:
        return 1
    if type(get_active_backend()[0]).__name__ == "DaskDistributedBackend":  # it would count all cores of the cluster
        with parallel_backend("threading", n_jobs=1):  # the meaning of None
            return effective_n_jobs(n_jobs)
    return effective_n_jobs(n_jobs)


def chunks(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of at most ``size``. The slices do not depend on the number of threads."""
    return slices(slice(0, n), size)


def slices(whole: slice, size: int) -> list[slice]:
    """Cut a slice into slices of at most ``size``."""
    return [slice(start, min(start + size, whole.stop)) for start in range(whole.start, whole.stop, size)]


class _OneBlasThread:
    """Limit BLAS to one thread. The first thread that enters sets the limit. The last thread that leaves removes it.

    After a fork, the child has only the thread that forked. So it counts only this thread, and removes a limit that
    other threads had set. A fork waits until no thread holds the lock, so the lock is always free in the child.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside: dict[int, int] = {}  # how often each thread has entered
        self._libraries: list[LibController] = []
        self._n_modules = 0  # number of modules at the last search for libraries
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._reset_in_child
            )

    def enter(self) -> None:
        """Set the limit, unless it is already set."""
        with self._lock:
            if not self._inside:
                self._limited = self._limit_to_one_thread()
            self._inside[get_ident()] = self._inside.get(get_ident(), 0) + 1

    def _limit_to_one_thread(self) -> list[tuple[LibController, int]]:
        """Limit each BLAS library to one thread; return the libraries and their previous numbers of threads.

        A search for libraries takes milliseconds. Libraries are loaded together with modules. So the result of the last
        search is used again, unless a module was loaded since.
        """
        if len(sys.modules) != self._n_modules:
            self._n_modules = len(sys.modules)
            self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        before = [(library, library.num_threads) for library in self._libraries]
        for library in self._libraries:
            _set_threads(library, 1)
        return before

    def leave(self) -> None:
        """Remove the limit, unless other threads are inside."""
        with self._lock:
            self._inside[get_ident()] -= 1
            if self._inside[get_ident()] == 0:
                del self._inside[get_ident()]
            if not self._inside:
                self._take_limit_back()

    def _reset_in_child(self) -> None:
        """Forget the threads that the child process does not have."""
        was_limited = bool(self._inside)
        self._inside = {thread: n for thread, n in self._inside.items() if thread == get_ident()}
        self._lock.release()
        if was_limited and not self._inside:
            self._take_limit_back()

    def _take_limit_back(self) -> None:
        """Restore the number of threads of each library."""
        for library, n_threads in self._limited:
            _set_threads(library, n_threads)


def _set_threads(library: LibController, n_threads: int) -> None:
    """Set the number of threads of a library, from any thread.

    Newer versions of threadpoolctl let only one thread at a time change it, and silently ignore the others.
    ``_OneBlasThread`` counts the threads itself, so this function calls the inner method.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


_ONE_BLAS_THREAD = _OneBlasThread()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread during a ``with`` block; any number of threads may be inside at once."""
    _ONE_BLAS_THREAD.enter()
    try:
        yield
    finally:
        _ONE_BLAS_THREAD.leave()
