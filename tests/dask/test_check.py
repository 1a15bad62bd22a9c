"""Check that workers which cannot share a fit are refused before any work starts."""

import os
import signal

import pytest

pytest.importorskip("distributed")
from distributed import Client
from distributed.comm import CommClosedError

import sklearn_mf
from sklearn_mf.dask._check import find_client, find_workers
from sklearn_mf.dask._recovery import Recovery, run_with_recovery


@pytest.fixture
def changed(client):
    """Change what one worker says of itself, by a line of Python; afterwards it is as before."""
    address = next(iter(client.nthreads()))
    client.run(exec, "import sklearn_mf; from sklearn_mf._kernel import simd; simd._kept = simd.SIMD")

    def change(line):
        client.run(exec, line, workers=[address])
        return address

    yield change
    client.run(
        exec,
        "import sys\n"
        "if sys.modules.get('sklearn_mf', 0) is None:\n    del sys.modules['sklearn_mf']\n"
        f"import sklearn_mf; sklearn_mf.__version__ = {sklearn_mf.__version__!r}\n"
        "from sklearn_mf._kernel import simd; simd.SIMD = simd._kept",
        workers=[address],
    )


def test_ids_of_workers(client):
    workers = find_workers(client)
    assert workers == client.run(lambda dask_worker: dask_worker.id)
    last = list(workers)[-1]
    assert find_workers(client, [last]) == {last: workers[last]}


def test_worker_without_the_package(client, changed):
    address = changed("import sys; sys.modules['sklearn_mf'] = None")
    with pytest.raises(
        ImportError,
        match=rf"{address}.*Install the version of the client on these workers: sklearn-mf=={sklearn_mf.__version__}",
    ):
        find_workers(client)


def test_worker_with_another_version(client, changed):
    address = changed("import sklearn_mf; sklearn_mf.__version__ = '0.0.7'")
    with pytest.raises(ValueError, match=rf"has sklearn_mf {sklearn_mf.__version__}.*0\.0\.7 on {address}"):
        find_workers(client)


def test_worker_with_another_instruction_set(client, changed):
    address = changed(
        "from sklearn_mf._kernel import simd; simd.SIMD = 'baseline' if simd.SIMD != 'baseline' else 'avx2'"
    )
    with pytest.raises(ValueError, match=rf"on {address}.*SKLEARN_MF_SIMD=baseline"):
        find_workers(client)


def test_workers_that_are_not_there(client):
    with pytest.raises(ValueError, match=r"The cluster does not have tcp://127\.0\.0\.1:1\. Its workers: tcp://"):
        find_workers(client, ["tcp://127.0.0.1:1"])
    with pytest.raises(ValueError, match="has no workers"):
        find_workers(client, [])


def test_worker_that_does_not_answer(client):
    first = next(iter(client.nthreads()))
    pid = client.run(os.getpid, workers=[first])[first]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError, match=f"workers {first} did not answer within 1 seconds"):
            find_workers(client, limit=1)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_worker_that_goes_away_while_it_is_asked(client, monkeypatch):
    first, run = next(iter(client.nthreads())), client.run

    def run_or_fail(function, workers):
        if workers != [first]:
            return run(function, workers=workers)

        async def fail():
            raise CommClosedError("in <TCP>: Stream is closed")

        return fail()

    monkeypatch.setattr(client, "run", run_or_fail)
    with pytest.raises(TimeoutError, match=f"workers {first} did not answer"):
        find_workers(client)


def test_client_that_is_not_there(client):
    with pytest.raises(ValueError, match=r"no Dask client. Make one with"):
        find_client(None)
    with pytest.raises(TypeError, match=r"client must be a dask.distributed.Client, not str"):
        find_client("tcp://127.0.0.1:8786")
    assert find_client(client) is client
    with client.as_current():
        assert find_client(None) is client
    other = Client(client.scheduler.address, set_as_default=False)
    other.close()
    with pytest.raises(ValueError, match=r"client is closed. Make a new one with"):
        find_client(other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"checkpoint_every": 0}, "checkpoint_every == 0"),
        ({"checkpoint_folder": "."}, "checkpoint_every is None"),
        ({"checkpoint_every": 1, "checkpoint_folder": "not-there"}, "checkpoint_folder='not-there' is not a folder"),
        ({"max_attempts": 0}, "max_attempts == 0"),
    ],
)
def test_settings_that_cannot_be(client, settings, message):
    def never(*args):
        raise AssertionError("work has started")

    with pytest.raises(ValueError, match=message):
        run_with_recovery(client, never, never, never, recovery=Recovery(**settings))
