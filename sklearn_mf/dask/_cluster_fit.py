"""Run a fit on a cluster from the client: bring partitions, learn levels, run programs, report epochs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future

from sklearn_mf._ids.levels import warn_of_continuous_columns
from sklearn_mf._ids.tables import Column
from sklearn_mf.dask._check import outside_of_slots
from sklearn_mf.dask._checkpoints import Checkpoint
from sklearn_mf.dask._partitions import (
    N_JOINED,
    Partition,
    Partitions,
    TableForm,
    join_levels,
    levels_of,
)
from sklearn_mf.dask._recovery import Recovery, run_with_recovery
from sklearn_mf.dask._tasks import Program
from sklearn_mf.dask._team import Team
from sklearn_mf.dask._transport import Patience


@dataclass(frozen=True)
class Guard:
    """Describe how a fit uses workers and is protected if workers are lost. Names are those of the estimators."""

    n_jobs: int | None
    checkpoint_every: int | None
    checkpoint_folder: str | os.PathLike | None
    timeout: float

    @property
    def recovery(self) -> Recovery:
        """These settings in the form for ``run_with_recovery``."""
        patience = Patience(self.timeout, min(self.timeout, Patience().ping_limit))
        return Recovery(self.checkpoint_every, self.checkpoint_folder, patience=patience)


def _number_of(part: Partition) -> int:
    """Return the number of a partition."""
    return part.number


class ClusterFit:
    """Run one fit.

    Parameters
    ----------
    client : Client
        Client of the cluster.

    partitions : Partitions
        The ratings or pairs to fit.

    form : TableForm
        The columns of each partition.
    """

    def __init__(self, client: Client, partitions: Partitions, form: TableForm):
        self._client, self._partitions, self._form = client, partitions, form
        self._held: list[Future] = []  # data that the cluster must keep until the workers have received it
        self._epoch, self._answers = 0, []  # epoch of this attempt; what on_event returned for each epoch
        self.levels: Any = None  # of a fit that has begun, Levels
        self.n_rows, self.n_counted, self.mean_weight = 0, 0, 1.0

    def run(
        self, program: Program, task: Any, on_event: Callable[[Any], bool], may_stop: bool, guard: Guard
    ) -> list[Any]:
        """Run a program on all workers; return the result of each shard. ``on_event`` returns True to stop."""

        def make_args(team: Team, checkpoint: Checkpoint | None) -> Sequence[Sequence[Any]]:
            self._release()
            self._epoch = 0 if checkpoint is None else checkpoint.epoch
            parts = self._bring_partitions(team)
            if self.levels is None:
                self._learn_levels(team, parts)
            levels = self._hold(team.scatter(self.levels))
            saved = [] if checkpoint is None else [self._hold(team.scatter(checkpoint.arrays))]
            was_stopped = checkpoint is not None and checkpoint.is_stopped
            return [(task, own, levels, saved, was_stopped) for own in self._deal(team, parts)]

        def take(events: Any) -> bool:
            self._release()
            self._epoch += 1
            if self._epoch > len(self._answers):  # an earlier attempt has reported the other epochs
                self._answers.append(on_event(events))
            return self._answers[self._epoch - 1]

        try:
            with outside_of_slots():
                return run_with_recovery(
                    self._client,
                    make_args,
                    program,
                    take,
                    n_jobs=guard.n_jobs,
                    recovery=guard.recovery,
                    may_stop=may_stop,
                )
        finally:
            self._release()

    def _hold(self, future: Future) -> Future:
        """Add a future to those that ``_release`` releases."""
        self._held.append(future)
        return future

    def _release(self) -> None:
        """Release data that the workers have received. Without this, a traceback could keep its futures alive."""
        for future in self._held:
            future.release()
        self._held = []

    def _submit(self, team: Team, function: Callable, *args: Any) -> Future:
        """Start a task on any worker of a team."""
        return self._hold(self._client.submit(function, *args, workers=team.addresses, pure=False))

    def _bring_partitions(self, team: Team) -> list[Future]:
        """Compute the partitions on the workers of a team."""
        parts = self._client.compute(
            self._partitions.parts, workers=team.addresses, allow_other_workers=False, sync=False
        )
        self._held += parts
        # Wait for small tasks on the partitions: gathering the futures would send the partitions to the client.
        team.gather([self._submit(team, _number_of, part) for part in parts])
        return parts

    def _learn_levels(self, team: Team, parts: list[Future]) -> None:
        """Learn the levels of all partitions on their workers, and join them."""
        known = [self._submit(team, levels_of, part, self._form) for part in parts]
        while len(known) > 1:
            known = [
                self._submit(team, join_levels, known[first : first + N_JOINED], self._form)
                for first in range(0, len(known), N_JOINED)
            ]
        [found] = team.gather(known)
        self.n_rows, self.n_counted = found.n_rows, found.n_counted
        if not self.n_counted:
            raise ValueError(
                "X has no rows with positive weight: all partitions are empty, or all weights are 0. At least one "
                "rating must count."
            )
        self.mean_weight = found.mean_weight
        self.levels = found.growing.finish()
        warn_of_continuous_columns([Column(label, []) for label in self._form.labels], self.levels, self.n_counted)

    def _deal(self, team: Team, parts: list[Future]) -> list[list[Future]]:
        """Give each partition to a shard whose worker has it, or else to the shard with the fewest partitions."""
        holders = self._client.who_has(parts)
        dealt: list[list[Future]] = [[] for _ in team.addresses]
        for part in parts:
            here = [k for k, address in enumerate(team.addresses) if address in holders.get(part.key, ())]
            dealt[min(here or range(len(dealt)), key=lambda k: len(dealt[k]))].append(part)
        return dealt
