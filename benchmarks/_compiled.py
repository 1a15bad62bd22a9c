"""Compile a C file of this folder with the compiler of the system, and load it."""

import ctypes
import os
import shlex
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def compiler():
    """Give the command of the C compiler, as a list; SystemExit where there is none."""
    command = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or shutil.which("gcc") or ""]
    if not shutil.which(command[0]):
        raise SystemExit("There is no C compiler: install one, or name it in CC.")
    return command


def compiled(name, folder, *options):
    """Compile ``name``.c of this folder to a shared library in ``folder``; return it, loaded."""
    target = Path(folder) / ("-".join([name, *(option.strip("-=") for option in options)]) + ".so")
    command = [*compiler(), "-O3", "-shared", "-fPIC", *options, str(HERE / f"{name}.c"), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")
    return ctypes.CDLL(str(target))
