"""Count the instructions of a fit under valgrind, a rating, and compare them with those that are recorded.

    python benchmarks/instructions.py [--only "two columns"] [--tolerance 0.02]
    python benchmarks/instructions.py --record

A count knows no noise: it shows a change that the clock of a busy machine cannot. It says nothing of waits for memory.
Two and three columns, with centers and without, at ranks 16, 32 and 64, in AVX2 (valgrind has no AVX-512), one thread.

loop         an epoch, a rating: what the extension of the update loop executes
epoch        an epoch, a rating: what all extensions of the package execute, so the moves of centers too
preparation  the rest of the fit, a rating: ids, order and grid, sums of a fit

Ends with 1 when a count is higher than the recorded one by more than the tolerance. Counts of another compiler are
other counts: they are compared only when the package was compiled by the compiler that is recorded. Needs valgrind with
its headers, and a C compiler.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import sklearn_mf._kernel.sgd as loop
from _compiled import HERE, compiled
from _instructions_worker import EPOCHS, N_RATINGS, SHAPES

RECORD = HERE / "instructions.json"
COUNTS = ["loop", "epoch", "preparation"]
# The same addresses and hashes in every run, one thread, and instructions that valgrind knows.
ENVIRONMENT = {"SKLEARN_MF_SIMD": "avx2", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def compiler_of(extension):
    """Read from a compiled extension which compiler made it."""
    found = re.search(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", Path(extension).read_bytes())
    return found[0].decode() if found else "unknown"


def by_object(text):
    """Sum what callgrind has counted by the shared object that the instructions are in."""
    names, counts, inside, is_call = {}, Counter(), None, False
    for line in text.splitlines():
        named = re.match(r"c?ob=\((\d+)\)(?: (.+))?", line)
        if named and named[2]:
            names[named[1]] = named[2].strip()
        if named and line.startswith("ob="):
            inside = named[1]
        elif line.startswith("calls="):
            is_call = True  # the next line has what the callee took, which is counted where the callee is
        elif re.match(r"[\d+*-]", line):
            counts[inside] += 0 if is_call else int(line.split()[1])
            is_call = False
    return {names[number]: count for number, count in counts.items()}


def counts_of(short, long):
    """Give the counts a rating from what two fits, of EPOCHS, have executed in each shared object."""
    epochs = EPOCHS[1] - EPOCHS[0]
    whole = [sum(n for name, n in fit.items() if "sklearn_mf" in name) for fit in (short, long)]
    in_loop = [fit.get(loop.__file__, 0) for fit in (short, long)]
    epoch = (whole[1] - whole[0]) / epochs
    counts = (in_loop[1] - in_loop[0]) / epochs, epoch, whole[0] - EPOCHS[0] * epoch
    return {name: round(count / N_RATINGS, 2) for name, count in zip(COUNTS, counts, strict=True)}


def count(names):
    """Run the fits under callgrind; give the counts of each."""
    with tempfile.TemporaryDirectory() as folder:
        compiled("_callgrind", folder)
        out = Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", sys.executable]
        command += [str(HERE / "_instructions_worker.py"), str(Path(folder) / "_callgrind.so"), *names]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT})
        if done.returncode:
            raise SystemExit(f"valgrind failed:\n{done.stderr[-2000:]}")
        fits = {}
        for path in Path(folder).glob("out.*"):
            text = path.read_text()
            trigger = re.search(r"Trigger: Client Request: (.*); (\d+)$", text, re.MULTILINE)
            fits[trigger[1], int(trigger[2])] = by_object(text)
    return {name: counts_of(*(fits[name, epochs] for epochs in EPOCHS)) for name in names}


def compare(found, recorded, tolerance):
    """Print counts beside recorded ones, None where there are none; return what takes more."""
    print("| fit | " + " | ".join(f"{name} | recorded" for name in COUNTS) + " |\n" + "|---" * 7 + "|")
    more = []
    for name, counts in found.items():
        before = (recorded or {}).get(name, {})
        cells = [f"{n:.1f} | {before.get(what, float('nan')):.1f}" for what, n in counts.items()]
        print(f"| {name} | " + " | ".join(cells) + " |")
        more += [f"{name}: {what}" for what, n in counts.items() if n > before.get(what, n) * (1 + tolerance)]
    return more


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", default="", help="fits with TEXT in their name")
    parser.add_argument("--tolerance", type=float, default=0.02)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    return parser.parse_args()


def main():
    arguments = parse()
    compiler = compiler_of(loop.__file__)
    found = count([name for name in SHAPES if arguments.only in name])
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {"compiler": None, "counts": {}}
    is_same = recorded["compiler"] == compiler
    print(f"Instructions a rating, AVX2, compiled by {compiler}\n")
    more = compare(found, recorded["counts"] if is_same else None, arguments.tolerance)
    if arguments.record:
        counts = {**(recorded["counts"] if is_same else {}), **found}
        RECORD.write_text(json.dumps({"compiler": compiler, "counts": counts}, indent=2) + "\n")
    elif not is_same:
        print(f"\nNot compared: {RECORD.name} is of {recorded['compiler']}.")
    elif more:
        raise SystemExit(f"\nmore than recorded by over {100 * arguments.tolerance:g} %: {'; '.join(more)}")


if __name__ == "__main__":
    main()
