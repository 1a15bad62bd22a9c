"""Start the processes of a Dask cluster in tenths of a second."""

from contextlib import contextmanager

FORKED = {"distributed.worker.multiprocessing-method": "forkserver"}


@contextmanager
def quick_processes():
    """Let the workers be copies of a process that has imported all that they need: an import takes seconds."""
    import dask
    from distributed.utils import get_mp_context

    with dask.config.set(FORKED):
        context = get_mp_context()  # names its own modules, the first time
        context.set_forkserver_preload(["distributed", "pandas", "sklearn_mf.dask"])
        yield
