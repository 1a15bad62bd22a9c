"""Check what is kept of a fit, without a cluster."""

from contextlib import suppress
from threading import Event, Thread

import numpy as np
import pytest

pytest.importorskip("distributed")

from sklearn_mf.dask._checkpoints import Checkpoints, read_arrays, write_arrays


@pytest.fixture
def written(tmp_path):
    """A folder with one array, and its form."""
    forms = write_arrays(tmp_path, 1, 0, {"rows": np.arange(6.0).reshape(3, 2)})
    return tmp_path / "1" / "0", forms


def test_arrays_come_back(written):
    folder, forms = written
    np.testing.assert_array_equal(read_arrays(folder, forms)["rows"], np.arange(6.0).reshape(3, 2))
    assert [path.name for path in folder.iterdir()] == ["rows.npy"]


def test_file_cut_short(written):
    folder, forms = written
    path = folder / "rows.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"rows\.npy cannot be read"):
        read_arrays(folder, forms)


def test_file_of_another_length(written):
    folder, forms = written
    np.save(folder / "rows.npy", np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"has shape \(2, 2\)"):
        read_arrays(folder, forms)


def test_pickles_are_never_read(written):
    folder, forms = written
    np.save(folder / "rows.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read"):
        read_arrays(folder, forms)


def test_objects_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(tmp_path, 1, 0, {"rows": np.array([print], dtype=object)})


def test_last_of_several_is_kept():
    checkpoints = Checkpoints(2, None, "fit")
    assert [epoch for epoch in range(1, 7) if checkpoints.is_due(epoch)] == [2, 4, 6]
    assert checkpoints.last() is None
    for epoch in (2, 4):
        checkpoints.keep(
            epoch, list(range(epoch)), [{"rows": np.full(2, epoch)}, {"rows": np.full(1, epoch + 1)}], epoch == 4
        )
    checkpoint = checkpoints.last()
    assert (checkpoint.epoch, checkpoint.events, checkpoint.is_stopped) == (4, [0, 1, 2, 3], True)
    np.testing.assert_array_equal(checkpoint.arrays["rows"], [4, 4, 5])


def test_nothing_is_left_while_a_worker_still_writes(tmp_path):
    """A worker of an attempt that is over does not know so."""
    for number in range(20):
        checkpoints, is_over, began = Checkpoints(1, tmp_path, f"fit-{number}"), Event(), Event()
        checkpoints.begin_attempt()

        def write(folder=checkpoints.folder, is_over=is_over, began=began):
            epoch = 0
            with suppress(OSError):
                while not is_over.is_set():
                    epoch += 1
                    write_arrays(folder, epoch, 0, {f"rows{n}": np.zeros(9) for n in range(20)})
                    began.set()

        thread = Thread(target=write)
        thread.start()
        began.wait()
        checkpoints.close()
        is_over.set()
        thread.join()
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_nothing(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(PermissionError, match=r"No folder can be made in checkpoint_folder="):
        Checkpoints(1, tmp_path, "fit")
