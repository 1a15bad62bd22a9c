"""Check that a fit goes on when workers die or stop, from where it was saved last."""

import os
import signal
import stat
import time
from contextlib import suppress
from threading import Thread

import numpy as np
import pytest

pytest.importorskip("distributed")

from dask.distributed import Client
from helpers.dask_programs import Strike, count_seats, fail_at_shard_1, mix, mixed, wait_a_little

from sklearn_mf.dask._check import find_workers
from sklearn_mf.dask._recovery import Recovery, run_with_recovery
from sklearn_mf.dask._team import Team, TeamLostError
from sklearn_mf.dask._transport import Patience

ROWS, N_EPOCHS = np.arange(12.0), 6
SHORT = Patience(timeout=1.0, ping_limit=1.0)


class Fit:
    """A fit that can be run on any workers, and what was asked of it."""

    def __init__(self, trouble):
        self.trouble, self.teams, self.checkpoints, self.events = trouble, [], [], []

    def make_args(self, team, checkpoint):
        self.teams.append(team.addresses)
        self.checkpoints.append(checkpoint)
        rows, n_done = (ROWS, 0) if checkpoint is None else (checkpoint.arrays["rows"], checkpoint.epoch)
        return [(rows, N_EPOCHS, n_done, self.trouble)] * len(team.addresses)

    def on_event(self, event):
        self.events.append(event[0])
        return False

    def run(self, client, **recovery):
        results = run_with_recovery(
            client,
            self.make_args,
            mix,
            self.on_event,
            recovery=Recovery(patience=SHORT, **recovery),
            may_stop=False,
        )
        return np.concatenate(results)


@pytest.fixture
def strike(tmp_path):
    """Make a strike; afterwards, processes that were stopped go on."""
    strikes = []

    def make(number):
        strikes.append(Strike(number, tmp_path / "marker"))
        return strikes[-1]

    yield make
    for strike in strikes:
        if strike.signal == signal.SIGSTOP and strike.marker.exists():
            with suppress(ProcessLookupError):  # its nanny may have ended it
                os.kill(int(strike.marker.read_text()), signal.SIGCONT)


def wait_until_nothing_is_left(client):
    end = time.monotonic() + 10
    while n_seats := sum(client.run(count_seats).values()):
        assert time.monotonic() < end, n_seats
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "every"), [(signal.SIGKILL, None), (signal.SIGSTOP, 2)])
def test_fit_without_the_worker_that_was_lost(client, strike, number, every):
    trouble = strike(number)
    trouble.epoch = 3 if every is None else 4  # workers may be a step ahead of what the client has heard
    fit = Fit(trouble)
    np.testing.assert_array_equal(fit.run(client, checkpoint_every=every), mixed(ROWS, N_EPOCHS))

    first, second = fit.teams
    assert second == [first[0], first[2]]
    if every is None:
        assert fit.checkpoints == [None, None]
        assert fit.events in ([*told, *range(1, N_EPOCHS + 1)] for told in ([1], [1, 2]))
    else:
        np.testing.assert_array_equal(fit.checkpoints[1].arrays["rows"], mixed(ROWS, 2))
        np.testing.assert_array_equal(fit.checkpoints[1].arrays["twice"], 2 * mixed(ROWS, 2))
        assert [epoch for epoch, _ in fit.checkpoints[1].events] == [1, 2]
        assert fit.events in ([*told, *range(3, N_EPOCHS + 1)] for told in ([1, 2], [1, 2, 3]))


def test_worker_that_stops_while_nobody_waits_for_it(client, strike):
    """The client notices by itself."""
    workers = dict(list(find_workers(client).items())[:1])
    stop = strike(signal.SIGSTOP)
    stop.shard = 0
    with pytest.raises(TeamLostError) as raised:
        Team(client, workers, "alone", patience=SHORT).run(mix, [(ROWS, 4, 0, stop)], lambda event: False)
    assert raised.value.lost == list(workers)


def test_checkpoints_in_a_folder(client, strike, tmp_path):
    folder, seen = tmp_path / "checkpoints", []
    folder.mkdir()
    fit = Fit(strike(signal.SIGKILL))

    def look(event):
        seen.append({path.relative_to(folder).parts[1:]: path.stat() for path in folder.rglob("*")})
        return fit.on_event(event)

    results = run_with_recovery(
        client,
        fit.make_args,
        mix,
        look,
        recovery=Recovery(checkpoint_every=2, checkpoint_folder=folder, patience=SHORT),
    )
    np.testing.assert_array_equal(np.concatenate(results), mixed(ROWS, N_EPOCHS))
    np.testing.assert_array_equal(fit.checkpoints[1].arrays["rows"], mixed(ROWS, 2))

    after_2 = {("0", "2", str(shard), name) for shard in range(3) for name in ("rows.npy", "twice.npy")}
    after_4 = {("1", "4", str(shard), name) for shard in range(2) for name in ("rows.npy", "twice.npy")}
    files = [{parts for parts, status in files.items() if stat.S_ISREG(status.st_mode)} for files in seen]
    assert files == [set(), after_2, after_2, after_2 | after_4, after_4, files[-1]]
    assert {parts[:2] for parts in files[-1]} == {("1", "4"), ("1", "6")}  # the last one is not kept yet
    modes = {oct(status.st_mode) for files in seen for status in files.values()}
    assert modes == {oct(stat.S_IFDIR | 0o700), oct(stat.S_IFREG | 0o600)}
    assert list(folder.iterdir()) == []


def test_error_of_a_program_is_not_tried_again(client):
    fit = Fit(fail_at_shard_1)
    with pytest.raises(ValueError, match="alpha is wrong"):
        fit.run(client)
    assert len(fit.teams) == 1


def test_worker_started_again_under_its_address_is_another(client_of_threads):
    workers = find_workers(client_of_threads)
    first = next(iter(workers))
    team = Team(client_of_threads, workers | {first: "Worker-before"}, "restarted")
    with pytest.raises(TeamLostError, match=f"died or did not answer during a fit: {first}") as raised:
        team.run(mix, [(ROWS, 2)] * 3, lambda event: False)
    assert raised.value.lost == [first]


@pytest.mark.parametrize(("n_lost", "n_attempts"), [(1, 2), (3, 1)])
def test_fit_that_loses_too_many_workers(client_of_threads, monkeypatch, n_lost, n_attempts):
    fit = Fit(None)
    monkeypatch.setattr(Team, "run", lambda team, *args: lose(team, n_lost))
    with pytest.raises(TeamLostError):
        fit.run(client_of_threads, max_attempts=2)
    assert [len(team) for team in fit.teams] == [3, 2][:n_attempts]


def lose(team, n_lost):
    raise TeamLostError(team._addresses[:n_lost])


def test_client_that_goes_away_leaves_nothing_on_workers(client, cluster):
    workers, errors, began = find_workers(client), [], []
    other = Client(cluster, set_as_default=False)

    def fit():
        try:
            Team(other, workers, "closed").run(mix, [(ROWS, 10_000, 0, wait_a_little)] * 3, began.append)
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=fit)
    thread.start()
    while not began:
        time.sleep(0.01)
    assert sum(client.run(count_seats).values()) == 3
    other.close()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert len(errors) == 1
    wait_until_nothing_is_left(client)
