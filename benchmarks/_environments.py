"""Virtual environments for the libraries that are measured, one for each, made when they are first needed."""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path.home() / ".cache" / "sklearn_mf_benchmarks"
OURS = "sklearn_mf"

# The distribution of each library, its pin, what else to install, and why. All work with Python 3.11 and NumPy 2.
LIBRARIES = {
    OURS: (str(ROOT), "", []),
    "surprise": ("scikit-surprise", "==1.1.5", ["pandas"]),  # 1.1.4 needs NumPy 1; pandas for Dataset.load_from_df
    "cornac": ("cornac", "==3.0.1", []),
    "cmfrec": ("cmfrec", "==3.5.1.post14", ["threadpoolctl"]),  # imports threadpoolctl without requiring it
    "libmf": ("libmf", "==0.9.2", []),  # compiled when it is installed, without SIMD, as from PyPI
    "myfm": ("myfm", "==0.4.0", []),
    "lenskit": ("lenskit", "==2025.8.1", []),  # with PyTorch: several GB
}


def add_options(parser):
    """Add the options that say where the environments are, and whether this project is installed anew."""
    parser.add_argument("--environments", type=Path, default=CACHE)
    parser.add_argument("--keep", action="store_true", help="do not install this project anew")


def python_of(environment):
    """Give the interpreter of a virtual environment."""
    folder = "Scripts" if sys.platform == "win32" else "bin"
    return Path(environment) / folder / "python"


def create(environment, requirements):
    """Make a virtual environment and install into it; return its interpreter."""
    venv.create(environment, with_pip=True)
    install(python_of(environment), requirements)
    return python_of(environment)


def install(python, requirements):
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


def beside(name, requirements, environments):
    """Install packages without their requirements in a folder, for PYTHONPATH of another interpreter; return it."""
    folder = Path(environments).expanduser() / f"beside-{name}"
    if not folder.exists():
        install(sys.executable, ["--no-deps", "--target", str(folder), *requirements])
    return folder


def ensure(library, environments, keep=False):
    """Make the environment of a library, or bring it up to its pin; return its interpreter. The project is built again.

    With ``keep``, a project that is installed stays as it is.
    """
    distribution, pin, others = LIBRARIES[library]
    environment, requirements = Path(environments).expanduser() / library, [distribution + pin, *others]
    record = environment / "requirements.txt"
    python = python_of(environment)
    if not (record.exists() and record.read_text() == "\n".join(requirements)):
        print(f"installing {library} in {environment}", file=sys.stderr, flush=True)
        create(environment, requirements)
        record.write_text("\n".join(requirements))
    elif library == OURS and not keep:
        install(python, ["--force-reinstall", "--no-deps", distribution])
    return python
