"""Fit an estimator on a cluster, from the client: partitions, levels, programs, and what is said on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from distributed import Client, Future

from sklearn_mf._ids.levels import Levels, warn_of_continuous_columns
from sklearn_mf._ids.tables import Column
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
    """Say how workers are used, and how a fit is guarded against lost ones, in the words of the estimators."""

    n_jobs: int | None
    checkpoint_every: int | None
    checkpoint_folder: str | os.PathLike | None
    timeout: float

    @property
    def recovery(self) -> Recovery:
        """The same for the machinery."""
        patience = Patience(self.timeout, min(self.timeout, Patience().ping_limit))
        return Recovery(self.checkpoint_every, self.checkpoint_folder, patience=patience)


def _number_of(part: Partition) -> int:
    """Give the number of a partition."""
    return part.number


class ClusterFit:
    """Run one fit.

    Parameters
    ----------
    client : Client
        Client of the cluster.

    partitions : Partitions
        What to fit to.

    form : TableForm
        What each partition has.
    """

    def __init__(self, client: Client, partitions: Partitions, form: TableForm):
        self._client, self._partitions, self._form, self._name = client, partitions, form, uuid4().hex
        self._parts: list[Future] = []
        self._levels: Future | None = None
        self.levels: Levels | None = None
        self.n_counted = 0

    def run(
        self, program: Program, task: Any, on_event: Callable[[Any], bool], may_stop: bool, guard: Guard
    ) -> list[Any]:
        """Run a program on all workers; return the result of each shard. ``on_event`` returns True if it may stop."""

        def make_args(team: Team, checkpoint: Checkpoint | None) -> Sequence[Sequence[Any]]:
            self._bring_partitions(team)
            if self.levels is None:
                self._learn_levels(team)
            [self._levels] = self._scatter(team, [self.levels])
            saved = [] if checkpoint is None else self._scatter(team, [checkpoint.arrays])
            return [(task, parts, self._levels, saved) for parts in self._deal(team)]

        def take(events: Any) -> bool:
            self._parts = []  # the workers have taken what they need
            return on_event(events)

        return run_with_recovery(
            self._client,
            make_args,
            program,
            take,
            n_jobs=guard.n_jobs,
            recovery=guard.recovery,
            may_stop=may_stop,
        )

    def _scatter(self, team: Team, values: list[Any]) -> list[Future]:
        """Bring a value to each worker."""
        return self._client.scatter(values, workers=team.addresses, broadcast=True, hash=False)

    def _bring_partitions(self, team: Team) -> None:
        """Compute the partitions on the workers of a team."""
        self._parts = self._client.compute(
            self._partitions.parts, workers=team.addresses, allow_other_workers=False, sync=False
        )
        # Looked at where they are: the client would get the partitions themselves.
        team.gather([self._client.submit(_number_of, part, workers=team.addresses, pure=False) for part in self._parts])

    def _learn_levels(self, team: Team) -> None:
        """Learn the levels of all partitions where these are, and put them together."""

        def submit(function: Callable, what: str, number: int, *args: Any) -> Future:
            key = f"sklearn_mf-{what}-{self._name}-{number}"
            return self._client.submit(function, *args, self._form, key=key, workers=team.addresses, pure=False)

        known = [submit(levels_of, "levels", number, part) for number, part in enumerate(self._parts)]
        n_rounds = 0
        while len(known) > 1:
            n_rounds += 1
            known = [
                submit(join_levels, f"levels-{n_rounds}", first, known[first : first + N_JOINED])
                for first in range(0, len(known), N_JOINED)
            ]
        [found] = team.gather(known)
        self.n_counted = found.n_counted
        if not self.n_counted:
            raise ValueError(
                "X has no rows that count: all partitions are empty, or all of sample_weight is 0. At least one rating "
                "must count."
            )
        self.levels = found.growing.finish()
        warn_of_continuous_columns([Column(label, []) for label in self._form.labels], self.levels, self.n_counted)

    def _deal(self, team: Team) -> list[list[Future]]:
        """Give each partition to a shard whose worker has it, or to the one with the fewest."""
        holders = self._client.who_has(self._parts)
        dealt: list[list[Future]] = [[] for _ in team.addresses]
        for part in self._parts:
            here = [k for k, address in enumerate(team.addresses) if address in holders.get(part.key, ())]
            dealt[min(here or range(len(dealt)), key=lambda k: len(dealt[k]))].append(part)
        return dealt
