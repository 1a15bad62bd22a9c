"""Make many calls of everything public, a batch a process, and print what they end in: by hand, see contributing.md.

    python tests/fuzz/run.py --calls 20000 --batch 500

A batch that crashes, hangs or makes a sanitizer speak is named with its seed: ``--seed SEED --calls 500`` replays it.
"""

import argparse
import faulthandler
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SANITIZERS = "runtime error:", "AddressSanitizer", "LeakSanitizer", "Fatal Python error"


def run_batch(seed, n_calls):
    """Make the calls of a batch in this process; print what they end in, as JSON. The last call is in a file."""
    from helpers import fuzz_datasets, fuzz_functions, fuzz_models, fuzz_rankers
    from helpers.fuzz_choices import for_each_call
    from helpers.fuzz_judge import judge

    faulthandler.enable()
    counts, faults, names = Counter(), {}, Counter()
    last_call = os.environ.get("LAST_CALL")

    def count(call):
        if last_call:
            Path(last_call).write_text(f"{sum(names.values())}, {call.name}")
        outcome = judge(call)
        names[call.name] += 1
        counts[outcome.what if outcome.status == "documented" else outcome.status] += 1
        if outcome.status == "fault":
            faults.setdefault(outcome.what, outcome.details)

    parts = fuzz_models, fuzz_rankers, fuzz_functions, fuzz_datasets
    for_each_call([make for part in parts for make in part.MAKERS], count, n_calls, seed)
    print(json.dumps({"counts": counts, "faults": faults, "names": names}))


def run_in_process(seed, n_calls, seconds):
    """Run a batch in a process of its own; return its counts and its faults."""
    with tempfile.TemporaryDirectory() as folder:
        last_call = Path(folder) / "last_call"
        command = [sys.executable, __file__, "--seed", str(seed), "--calls", str(n_calls), "--here"]
        environment = {
            **os.environ,
            "LAST_CALL": str(last_call),
            "TMPDIR": folder,
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        with open(Path(folder) / "stderr", "w+b") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=environment)
            try:
                stdout, end = process.communicate(timeout=seconds)[0], process.returncode
            except subprocess.TimeoutExpired:
                process.kill()
                stdout, end = process.communicate()[0], "hang"
            stderr.seek(0)
            errors = stderr.read().decode(errors="replace")
        last = last_call.read_text() if last_call.exists() else "none"
    found = json.loads(stdout.splitlines()[-1]) if end == 0 else {"counts": {}, "faults": {}, "names": {}}
    if end != 0:
        kind = "hang" if end == "hang" else "crash"
        found["counts"], found["faults"] = {kind: 1}, {f"{kind} ({end})": f"{errors[-3_000:]}\nlast call: {last}"}
    elif any(word in errors for word in SANITIZERS):
        found["counts"]["sanitizer"] = 1
        found["faults"]["sanitizer"] = errors[:6_000]
    return found


def run_all(first_seed, n_calls, batch, seconds, most_seconds):
    """Run all batches; print faults as they are found, each kind once, and then the table."""
    counts, names, seen, start = Counter(), Counter(), Counter(), time.monotonic()
    for number, first in enumerate(range(0, n_calls, batch)):
        if time.monotonic() - start > most_seconds:
            break
        found = run_in_process(first_seed + number, min(batch, n_calls - first), seconds)
        counts.update(found["counts"])
        names.update(found["names"])
        for what, details in found["faults"].items():
            seen[what[:90]] += 1
            if seen[what[:90]] == 1:
                print(f"\nseed {first_seed + number}: {what}\n{details}", flush=True)
    n_made = sum(names.values())
    print(f"\n{n_made} calls of {len(names)} functions in {time.monotonic() - start:.0f} s")
    for what, n in counts.most_common():
        print(f"{n:8}  {what}")
    return not seen and counts["success"] >= n_made / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first batch; the others count on from it")
    parser.add_argument("--seconds", type=float, default=300, help="after which a batch hangs")
    parser.add_argument("--most-seconds", type=float, default=float("inf"), help="after which no further batch begins")
    parser.add_argument("--here", action="store_true", help="one batch in this process")
    given = parser.parse_args()
    if given.here:
        return run_batch(given.seed, given.calls)
    return 0 if run_all(given.seed, given.calls, given.batch, given.seconds, given.most_seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
