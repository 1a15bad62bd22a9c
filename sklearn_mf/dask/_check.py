"""Find the client and the workers, and check that the workers can share a fit, before any work starts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from distributed import Client, get_client, get_worker, rejoin, secede

import sklearn_mf

INSTRUCTION_SETS = ["baseline", "avx2", "avx512"]  # the lowest first

# Sent as text, because a worker may lack this package. `id` shows whether a worker was restarted with the same address.
_DESCRIBE = """
async def describe(dask_worker):
    import asyncio, sys

    about = {"id": dask_worker.id, "byteorder": sys.byteorder}

    def look():
        try:
            import sklearn_mf
            about["version"] = sklearn_mf.__version__
            from sklearn_mf._kernel.simd import SIMD
            about["simd"] = SIMD
            import sklearn_mf.dask  # now, because an import in the first task would block messages for seconds
        except ImportError as error:
            about["error"] = str(error)

    await asyncio.get_running_loop().run_in_executor(None, look)  # the first import takes seconds
    return about
"""


def find_client(client: Client | None) -> Client:
    """Return the client itself, or the default client of Dask."""
    if client is None:
        try:
            client = get_client()
        except ValueError as error:
            raise ValueError(
                "There is no Dask client. Make one with `client = dask.distributed.Client(...)`, or pass one as client."
            ) from error
    if not isinstance(client, Client):
        raise TypeError(f"client must be a dask.distributed.Client, not {type(client).__name__}.")
    if client.status != "running":
        raise ValueError(f"client is {client.status}. Make a new one with `client = dask.distributed.Client(...)`.")
    if client.asynchronous:
        raise ValueError("client is asynchronous. Use a client that was made without asynchronous=True.")
    return client


@contextmanager
def outside_of_slots() -> Iterator[None]:
    """Give back the thread of the current Dask task, if any, because the tasks of the fit may need it."""
    has_left = False
    with suppress(ValueError, AttributeError, KeyError):  # not in a task, or its thread is already given back
        get_worker()
        secede()
        has_left = True
    try:
        yield
    finally:
        if has_left:
            rejoin()


def find_workers(client: Client, workers: Iterable[str] | None = None, limit: float = 60.0) -> dict[str, str]:
    """Return the id of each worker by its address; raise an error if they cannot share a fit.

    Parameters
    ----------
    client : Client
        Client of the cluster.

    workers : iterable of str or None, default=None
        Addresses of workers. None means all workers of the cluster.

    limit : float, default=60
        Time for the workers to answer, in seconds.

    Raises
    ------
    ValueError
        If there are no workers, if the cluster does not have one of them, or if they have different versions of the
        package, instruction sets or byte orders.

    ImportError
        If a worker does not have the package.

    TimeoutError
        If a worker does not answer in time.
    """
    here = client.nthreads()
    addresses = list(here if workers is None else dict.fromkeys(workers))
    if not addresses:
        raise ValueError("The Dask cluster has no workers. Start some, and wait with `client.wait_for_workers(1)`.")
    unknown = [address for address in addresses if address not in here]
    if unknown:
        raise ValueError(f"The cluster does not have {', '.join(unknown)}. Its workers: {', '.join(here) or 'none'}.")
    about = _describe(client, addresses, limit)
    _check_package(about)
    _check_machines(about)
    return {address: about[address]["id"] for address in addresses}


def _describe(client: Client, addresses: list[str], limit: float) -> dict[str, dict[str, Any]]:
    """Ask each worker for its id, version, instruction set and byte order."""
    namespace = {"__name__": "__main__"}  # so that the function is sent by value
    exec(_DESCRIBE, namespace)

    async def ask() -> dict[str, asyncio.Future]:
        asked = {a: asyncio.ensure_future(client.run(namespace["describe"], workers=[a])) for a in addresses}
        await asyncio.wait(asked.values(), timeout=limit)
        for answer in asked.values():
            answer.cancel()  # has no effect if it is done
        return asked

    def is_silent(answer: asyncio.Future) -> bool:
        return answer.cancelled() or not answer.done() or isinstance(answer.exception(), OSError)

    answers = client.sync(ask)
    silent = [address for address in addresses if is_silent(answers[address])]
    if silent:
        raise TimeoutError(
            f"The Dask workers {', '.join(silent)} did not answer within {limit:g} seconds. Start them again, or "
            "remove them from the cluster."
        )
    return {address: answer.result()[address] for address, answer in answers.items()}


def _check_package(about: dict[str, dict[str, Any]]) -> None:
    """Raise an error unless all workers have the same version of the package as the client."""
    errors = {address: worker["error"] for address, worker in about.items() if "error" in worker}
    if errors:
        raise ImportError(
            f"sklearn_mf cannot be imported on some Dask workers: {_list(errors)}. Install the version of "
            f"the client on these workers: sklearn-mf=={sklearn_mf.__version__}."
        )
    versions = {address: worker["version"] for address, worker in about.items()}
    if set(versions.values()) != {sklearn_mf.__version__}:
        raise ValueError(
            f"The client has sklearn_mf {sklearn_mf.__version__}, but the Dask workers have {_list(versions)}. "
            "Install the same version everywhere."
        )


def _check_machines(about: dict[str, dict[str, Any]]) -> None:
    """Raise an error unless all workers give the same results, bit for bit."""
    orders = {address: worker["byteorder"] for address, worker in about.items()}
    if set(orders.values()) != {sys.byteorder}:
        raise ValueError(
            f"The client has {sys.byteorder}-endian numbers, but the Dask workers have {_list(orders)}. Use machines "
            "with the same byte order."
        )
    sets = {address: worker["simd"] for address, worker in about.items()}
    if len(set(sets.values())) > 1:
        lowest = min(sets.values(), key=INSTRUCTION_SETS.index)
        raise ValueError(
            f"The Dask workers use different instruction sets, which round differently: {_list(sets)}. Start all of "
            f"them with the environment variable SKLEARN_MF_SIMD={lowest}."
        )


def _list(values: dict[str, str]) -> str:
    """List workers, grouped by value."""
    groups: dict[str, list[str]] = {}
    for address, value in values.items():
        groups.setdefault(value, []).append(address)
    return "; ".join(f"{value} on {', '.join(addresses)}" for value, addresses in groups.items())
