"""Check what becomes of messages, without a cluster."""

import asyncio
from threading import Thread, Timer
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("distributed")

from helpers.dask_fits import wait_until

from sklearn_mf._utils.threads import Threads
from sklearn_mf.dask._transport import FitEndedError, FitPlugin, Patience, WorkerLostError, WorkerShard

PEER = "tcp://peer"


class Peer:
    """What a worker is to another: handlers that answer, or do not."""

    def __init__(self, takes=True, is_dead=False, has_fit=True):
        self.takes, self.is_dead, self.has_fit, self.messages = takes, is_dead, has_fit, []

    async def sklearn_mf_message(self, **message):
        if self.is_dead:
            raise OSError
        self.messages.append(message)
        return self.takes

    async def sklearn_mf_ping(self, fit):
        if self.is_dead:
            await asyncio.sleep(60)
        return self.has_fit


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def make_shard(loop):
    def make(peer):
        worker = SimpleNamespace(
            address="tcp://here", loop=SimpleNamespace(asyncio_loop=loop), rpc={PEER: peer}.__getitem__
        )
        return WorkerShard(0, ["tcp://here", PEER], "fit", worker, Threads(), Patience(0.05, 0.1))

    return make


def test_a_message_says_whose_it_is(make_shard):
    peer = Peer()
    shard = make_shard(peer)
    shard.send(1, (np.int64(3), 4), [np.arange(3)])
    shard.flush()
    [message] = peer.messages
    assert (message["fit"], message["sender"], message["tag"]) == ("fit", 0, [3, 4])
    np.testing.assert_array_equal(message["arrays"][0].data, np.arange(3))


@pytest.mark.parametrize(
    ("peer", "error"),
    [(Peer(is_dead=True), WorkerLostError), (Peer(takes=False), FitEndedError)],
    ids=["dead", "without the fit"],
)
def test_a_message_that_does_not_arrive_is_not_forgotten(make_shard, peer, error):
    shard = make_shard(peer)
    shard.send(1, (1,), [np.arange(3)])
    with pytest.raises(error, match=PEER):
        shard.flush()
    with pytest.raises(error, match=PEER):
        shard.receive(1, (1,))


@pytest.mark.parametrize(
    ("peer", "error"),
    [(Peer(is_dead=True), WorkerLostError), (Peer(has_fit=False), FitEndedError)],
    ids=["silent", "without the fit"],
)
def test_nobody_waits_for_a_worker_that_is_lost(make_shard, peer, error):
    with pytest.raises(error, match=PEER):
        make_shard(peer).receive(1, (1,))


def test_messages_of_other_fits_are_dropped(make_shard):
    plugin, worker = FitPlugin(), SimpleNamespace(handlers={}, address="tcp://here")
    plugin.setup(worker)
    shard = make_shard(Peer())
    plugin.add("anchor", "fit", shard)
    take, ping = worker.handlers["sklearn_mf_message"], worker.handlers["sklearn_mf_ping"]

    assert not take(fit="before", sender=1, tag=(1,), arrays=[np.zeros(2)])
    assert not ping(fit="before")
    assert take(fit="fit", sender=1, tag=(1,), arrays=[np.ones(2)])
    assert ping(fit="fit")
    np.testing.assert_array_equal(shard.receive(1, (1,)), [np.ones(2)])

    plugin.transition("other", "memory", "released")
    assert ping(fit="fit")
    plugin.transition("anchor", "memory", "released")
    assert not ping(fit="fit")
    with pytest.raises(FitEndedError, match="canceled"):
        shard.receive(1, (2,))
    with pytest.raises(FitEndedError, match="does not have the fit"):
        plugin.seat("fit")


def test_a_fit_that_has_ended_keeps_nothing(make_shard):
    peer = Peer()

    async def wait(**message):
        await asyncio.sleep(60)

    peer.sklearn_mf_message = wait
    shard = make_shard(peer)
    take_room = shard._wait
    shard._wait = lambda *args: (take_room(*args), shard.end(FitEndedError("over")))  # just before it is under way
    shard.send(1, (1,), [np.arange(3)])
    shard.put(1, (2,), [np.arange(3)])
    wait_until(lambda: not shard._deliveries and not sum(shard._under_way.values()))
    assert not shard._messages


def test_a_very_long_timeout(make_shard):
    shard = make_shard(Peer())
    shard._patience = Patience(1e10, 1.0)
    Timer(0.1, shard.put, [1, (1,), [np.ones(2)]]).start()
    np.testing.assert_array_equal(shard.receive(1, (1,)), [np.ones(2)])
