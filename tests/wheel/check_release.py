"""Check a folder of distributions before they are published.

`python tests/wheel/check_release.py dist` compares versions, sizes and the files of the source distribution. It also
builds the source distribution where no compiler is found, and reads what pip says. `--tag v1.2.3` compares the name of
the tag, too.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.versions import versions  # noqa: E402

MOST_BYTES = 2_000_000
MADE_BY_THE_BUILD = {"PKG-INFO"}


def check_wheel_file(path, version):
    """Refuse a wheel that is too large, of another version, or without its kernel, license and types."""
    assert path.stat().st_size < MOST_BYTES, f"{path.name} has {path.stat().st_size} bytes"
    assert path.name.startswith(f"sklearn_mf-{version}-"), path.name
    names = zipfile.ZipFile(path).namelist()
    assert any(name.startswith("sklearn_mf/_kernel/sgd.") for name in names), f"{path.name} has no kernel"
    for needed in ("sklearn_mf/py.typed", "sklearn_mf/_version.py", f"sklearn_mf-{version}.dist-info/licenses/LICENSE"):
        assert needed in names, f"{path.name} has no {needed}"
    strange = [name for name in names if not name.startswith(("sklearn_mf/", "sklearn_mf-"))]
    strange += [name for name in names if name.endswith((".c", ".h", ".pyx"))]
    assert not strange, f"{path.name} has {strange[:5]}"


def check_source_file(path, version):
    """Refuse a source distribution that does not have each tracked file."""
    assert path.stat().st_size < MOST_BYTES, f"{path.name} has {path.stat().st_size} bytes"
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert path.name == f"sklearn_mf-{version}.tar.gz", path.name
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = set(listed.stdout.splitlines())
    assert tracked <= files, f"{path.name} does not have {sorted(tracked - files)[:5]}"
    assert files <= tracked | MADE_BY_THE_BUILD, f"{path.name} also has {sorted(files - tracked)[:5]}"


def message_without_compiler(path):
    """Build a source distribution where there is no compiler, and return what pip says."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        commands = Path(folder) / "bin"
        environment = {name: value for name, value in os.environ.items() if name not in ("CC", "PYTHONPATH")}
        environment["PATH"] = str(commands)
        command = [commands / "python", "-m", "pip", "install", "--no-deps", path]
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode != 0, "The build passed without a compiler."
    return run.stdout + run.stderr


def main():
    parser = argparse.ArgumentParser(description="Check distributions before they are published.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tag")
    arguments = parser.parse_args()
    found = versions(ROOT)
    assert len(set(found.values())) == 1, f"The versions differ: {found}"
    version = found["meson.build"]
    if arguments.tag:
        assert arguments.tag == f"v{version}", f"The tag is {arguments.tag}, and the version is {version}."
    sources, wheels = sorted(arguments.folder.glob("*.tar.gz")), sorted(arguments.folder.glob("*.whl"))
    assert len(sources) == 1, f"{arguments.folder} has {len(sources)} source distributions."
    check_source_file(sources[0], version)
    for wheel in wheels:
        check_wheel_file(wheel, version)
    for path in (*sources, *wheels):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    if os.name == "posix":
        message = message_without_compiler(sources[0])
        assert "needs a C compiler" in message, message
        print(
            "Without a compiler:", next(line for line in message.splitlines() if "needs a C compiler" in line).strip()
        )


if __name__ == "__main__":
    main()
