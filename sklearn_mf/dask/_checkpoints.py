"""Save the state of a fit, at the client or in a shared folder, so that an interrupted fit can resume."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Form = tuple[tuple[int, ...], str]  # shape and dtype of an array in a file


@dataclass(frozen=True)
class Checkpoint:
    """Hold the state of a fit after an epoch.

    Parameters
    ----------
    epoch : int
        Number of completed epochs.

    events : list
        Events of shard 0 in each of these epochs.

    arrays : dict of str to ndarray
        Saved arrays by name. Each has the arrays of all shards, concatenated in the order of shards.

    is_stopped : bool
        Whether the fit was told to stop after that epoch.
    """

    epoch: int
    events: list
    arrays: dict[str, np.ndarray]
    is_stopped: bool


class Checkpoints:
    """Keep the last complete checkpoint of a fit.

    Parameters
    ----------
    every : int or None
        Number of epochs between checkpoints. None means no checkpoints.

    folder : str, path or None
        Folder that the client and the workers share. With None, the client keeps the arrays in memory.

    name : str
        Name of a new folder in ``folder``, for this fit. ``close`` removes it.
    """

    def __init__(self, every: int | None, folder: str | os.PathLike | None, name: str):
        if every is not None and every < 1:
            raise ValueError(f"checkpoint_every == {every}, must be at least 1. None means no checkpoints.")
        if folder is not None and every is None:
            raise ValueError(
                "checkpoint_folder is given, but checkpoint_every is None. Set checkpoint_every to a number of epochs."
            )
        if folder is not None and not Path(folder).is_dir():
            raise ValueError(
                f"checkpoint_folder={str(folder)!r} is not a folder. Make it first, where the client and all "
                "workers can access it by the same path."
            )
        self._every = every
        self._root = None if folder is None else Path(folder).absolute() / name
        self._kept: tuple[int, list, Path | None, list[dict], bool] | None = None
        self.folder: Path | None = None  # folder of this attempt
        self._n_attempts = 0
        if self._root is not None:
            try:
                self._root.mkdir(mode=0o700)
            except OSError as error:
                message = (
                    f"No folder can be made in checkpoint_folder={str(folder)!r}. Choose one that can be written to"
                )
                raise type(error)(error.errno, message, str(self._root)) from error

    def begin_attempt(self) -> None:
        """Make a new folder for an attempt, because workers of an earlier attempt may still write to its folder."""
        if self._root is not None:
            self.folder = self._root / str(self._n_attempts)
            self.folder.mkdir(mode=0o700)
        self._n_attempts += 1

    def is_due(self, epoch: int) -> bool:
        """Return whether the shards save after an epoch."""
        return self._every is not None and epoch % self._every == 0

    def keep(self, epoch: int, events: list, saved: Sequence[dict[str, Any]], is_stopped: bool) -> None:
        """Keep the arrays that all shards have saved after an epoch, and drop the previous checkpoint."""
        before, self._kept = self._kept, (epoch, list(events), self.folder, list(saved), is_stopped)
        if before is not None and before[2] is not None:
            shutil.rmtree(before[2] / str(before[0]), ignore_errors=True)

    def last(self) -> Checkpoint | None:
        """Read the last complete checkpoint."""
        if self._kept is None:
            return None
        epoch, events, folder, saved, is_stopped = self._kept
        if folder is not None:
            saved = [read_arrays(folder / str(epoch) / str(shard), forms) for shard, forms in enumerate(saved)]
        arrays = {name: np.concatenate([of_shard[name] for of_shard in saved]) for name in saved[0]}
        return Checkpoint(epoch, events, arrays, is_stopped)

    def close(self) -> None:
        """Remove everything that was saved."""
        self._kept = None
        if self._root is not None:
            gone = self._root.with_name(f"{self._root.name}-ended")
            with suppress(OSError):
                self._root.rename(gone)  # so that workers that are still writing no longer find it
            shutil.rmtree(gone, ignore_errors=True)


def write_arrays(folder: Path, epoch: int, shard: int, arrays: dict[str, np.ndarray]) -> dict[str, Form]:
    """Write the arrays of a shard into the folder of an attempt; return their shapes and dtypes."""
    for part in (str(epoch), str(shard)):
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)
    for name, array in arrays.items():
        temporary = folder / f"{name}.part"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            np.save(file, array, allow_pickle=False)
        temporary.replace(folder / f"{name}.npy")
    return {name: (array.shape, array.dtype.str) for name, array in arrays.items()}


def read_arrays(folder: Path, forms: dict[str, Form]) -> dict[str, np.ndarray]:
    """Read the arrays of a shard; raise a ValueError if a file was changed after it was written."""
    arrays = {}
    for name, form in forms.items():
        path = folder / f"{name}.npy"
        try:
            arrays[name] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"The checkpoint {path} cannot be read: {error}") from error
        if (arrays[name].shape, arrays[name].dtype.str) != (tuple(form[0]), form[1]):
            raise ValueError(
                f"The checkpoint {path} has shape {arrays[name].shape} and dtype {arrays[name].dtype.str}, but "
                f"{form[0]} and {form[1]} were written. Something else has changed the file."
            )
    return arrays
