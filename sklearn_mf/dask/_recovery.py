"""If workers are lost, run a fit again on the other workers, from the last checkpoint."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

from distributed import Client

from sklearn_mf.dask._check import find_client, find_workers
from sklearn_mf.dask._checkpoints import Checkpoint, Checkpoints
from sklearn_mf.dask._tasks import Program
from sklearn_mf.dask._team import Team, TeamLostError
from sklearn_mf.dask._transport import Patience

logger = logging.getLogger(__name__)

MakeArgs = Callable[[Team, "Checkpoint | None"], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Recovery:
    """Describe how a fit is protected if workers are lost.

    Parameters
    ----------
    checkpoint_every : int or None, default=None
        Number of epochs between checkpoints. With None, a fit that loses a worker starts from the beginning.

    checkpoint_folder : str, path or None, default=None
        Folder for checkpoints that the client and all workers share. None keeps them at the client.

    max_attempts : int, default=5
        Total number of attempts.

    patience : Patience, default=Patience()
        How long to wait for workers.
    """

    checkpoint_every: int | None = None
    checkpoint_folder: str | os.PathLike | None = None
    max_attempts: int = 5
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts == {self.max_attempts}, must be at least 1.")


def run_with_recovery(
    client: Client | None,
    make_args: MakeArgs,
    program: Program,
    on_event: Callable[[Any], bool],
    *,
    n_jobs: int | None = None,
    recovery: Recovery | None = None,
    may_stop: bool = True,
) -> list[Any]:
    """Run a program on workers; if some are lost, run it again on the others.

    Parameters
    ----------
    client : Client or None
        Client of the cluster. None means the default client of Dask.

    make_args : callable
        Called for each attempt, with its team and the last ``Checkpoint`` or None. Returns the arguments of each shard.

    program : callable
        A program for ``Team.run``.

    on_event : callable
        Called with each event of shard 0. Returns whether to stop. If workers are lost, the epochs after the checkpoint
        run again, and this function is called again with their events.

    n_jobs : int or None, default=None
        Number of threads of a shard. None means as many as the worker has.

    recovery : Recovery or None, default=None
        How the fit is protected if workers are lost.

    may_stop : bool, default=True
        Whether ``on_event`` may return True.

    Returns
    -------
    results : list
        The result of each shard of the attempt that was completed.

    Raises
    ------
    TeamLostError
        If no worker is left, or after ``max_attempts``.
    """
    recovery = recovery or Recovery()
    client = find_client(client)
    team = find_workers(client)
    fit = uuid4().hex
    checkpoints = Checkpoints(recovery.checkpoint_every, recovery.checkpoint_folder, fit)
    try:
        for attempt in count():
            checkpoint = checkpoints.last()
            checkpoints.begin_attempt()
            current = Team(client, team, f"{fit}-{attempt}", n_jobs, recovery.patience)
            try:
                args = make_args(current, checkpoint)
                events = () if checkpoint is None else checkpoint.events
                return current.run(program, args, on_event, checkpoints, events, may_stop)
            except TeamLostError as error:
                team = {address: server_id for address, server_id in team.items() if address not in error.lost}
                if not team or attempt + 1 == recovery.max_attempts:
                    raise
                # As text, because a log may keep the error.
                logger.warning("%s The fit goes on with %d workers.", str(error), len(team))
                _forget_frames(error)
    finally:
        checkpoints.close()


def _forget_frames(error: BaseException | None) -> None:
    """Remove the frames from an error. They keep the partitions in memory, and Dask's frames keep the error itself."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__
