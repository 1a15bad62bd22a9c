"""Threads that read and write shared models, and processes that fork from among them: counts of what went wrong.

    python benchmarks/soak.py --seconds 3600

Each shared model goes through a cycle of states, over and over, by the hand of one writer. What each state answers is
noted before the threads start. Each answer must be, bit for bit, that of a state which the model had during the call. A
child of a fork has no writer: all answers of a model must be of one state. What has not ended after a minute counts as
a hang. The program ends with 1 if anything went wrong. It needs a system with ``fork``.
"""

import argparse
import faulthandler
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from os import _exit

from _soak_models import ANSWERS, FEATURES, FOLD_IN, PAIRS, SURE, Shared, digest_of, make_shared
from threadpoolctl import threadpool_info

LIMIT = 60  # seconds for what takes a fraction of one
MOST_CHILDREN = 3  # at the same time


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def answer_in_pool(_):
    return SOAKS[0].answer_in_child()


SOAKS = []  # the one that processes of a pool find as they fork


class Soak:
    """Run readers, writers and children; count."""

    def __init__(self):
        SOAKS.append(self)
        self.shared = make_shared()
        for each in self.shared.values():
            each.learn_answers()
        self.n_blas_threads = blas_threads()
        self.done = threading.Event()
        self.counts = Counter()  # of the main thread; each other one has its own
        self.children = {}  # by process id, when it has to have ended
        self.examples = {}  # of failures, by kind

    def fail(self, counts, kind, text):
        counts[kind] += 1
        self.examples.setdefault((kind, text), None)

    def go_on(self, counts, name, each, turn):
        """Repeat ``turn`` for each of the models until the end."""
        while not self.done.is_set():
            for title in each:
                try:
                    if turn(self.shared[title]) is False:
                        self.fail(counts, "wrong values", f"{name}, of the model changed by {title}")
                except Exception:
                    self.fail(counts, "exceptions", f"{name}, {title}: {traceback.format_exc()}")
                counts[name] += 1
            time.sleep(0.001)  # else the quickest leave no turn to the others

    def make_threads(self):
        """Make a thread for each way to read, which goes from model to model, and a writer for each model."""
        tasks = [(f"write: {title}", [title], Shared.change) for title in self.shared]
        for name in ANSWERS | FOLD_IN | SURE | FEATURES:
            each = [title for title, shared in self.shared.items() if name in shared.readers]
            tasks.append((f"read: {name}", each, lambda one, name=name: one.is_answered(name)))
        copied = lambda one: one.is_whole(pickle.loads(pickle.dumps(one.model)))  # noqa: E731
        tasks.append(("read: pickle, and ask the copy", list(self.shared), copied))
        self.counts_of_threads = [Counter() for _ in tasks]
        pairs = zip(self.counts_of_threads, tasks, strict=True)
        return [threading.Thread(target=self.go_on, args=(own, *task), daemon=True) for own, task in pairs]

    def answer_in_child(self):
        """Ask each model everything; name those whose answers are not of one state, and BLAS if it is limited."""
        wrong = [title for title, each in self.shared.items() if not each.is_whole(each.model)]
        return wrong if blas_threads() == self.n_blas_threads else [*wrong, "BLAS"]

    def fork(self):
        pid = os.fork()
        if pid:
            self.children[pid] = time.monotonic() + LIMIT
            self.counts["forks"] += 1
            return
        try:
            faulthandler.dump_traceback_later(LIMIT - 5)
            _exit(1 if self.answer_in_child() else 0)
        except BaseException:
            traceback.print_exc()
            _exit(2)

    def reap(self):
        """Count the children that have ended, and end those that hang."""
        for pid, end in list(self.children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and time.monotonic() < end:
                continue
            del self.children[pid]
            if not ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                self.fail(self.counts, "hangs", "a child")
            elif status:
                self.fail(self.counts, "wrong values" if status == 256 else "exceptions", f"a child, status {status}")

    def run_pool(self):
        """Ask the models in a pool of forked processes, and send it a model too."""
        one, self.counts["pools"] = self.shared["fold_in"], self.counts["pools"] + 1
        pool = multiprocessing.get_context("fork").Pool(2)
        try:
            wrong = [title for found in pool.map_async(answer_in_pool, range(4)).get(LIMIT) for title in found]
            sent = pool.apply_async(one.model.predict, (PAIRS,)).get(LIMIT)
            if wrong or digest_of(lambda _: sent, one.model) not in one.states["predict"]:
                self.fail(self.counts, "wrong values", f"a pool: {wrong}")
        except multiprocessing.TimeoutError:
            self.fail(self.counts, "hangs", "a pool")
        pool.terminate()

    def run(self, seconds):
        threads, rng = self.make_threads(), random.Random(0)
        start = time.monotonic()
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        while time.monotonic() < start + seconds:
            self.reap()
            if rng.random() < 0.02:
                self.run_pool()
            elif len(self.children) < MOST_CHILDREN:
                self.fork()
            time.sleep(rng.uniform(0, 0.1))
        self.done.set()
        self.end(threads)
        return time.monotonic() - start

    def end(self, threads):
        """Wait for threads and children, and compare BLAS."""
        sys.setswitchinterval(0.005)
        for thread in threads:
            thread.join(LIMIT)
            if thread.is_alive():
                self.fail(self.counts, "hangs", "a thread")
        while self.children:
            self.reap()
            time.sleep(0.01)
        if blas_threads() != self.n_blas_threads:
            self.fail(self.counts, "wrong values", f"BLAS: {self.n_blas_threads} threads before, {blas_threads()} now")

    def total(self):
        return sum([self.counts, *self.counts_of_threads], Counter())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    seconds = parser.parse_args().seconds
    warnings.simplefilter("ignore")  # Python 3.12 warns of forks where there are threads; training, that it is short
    soak = Soak()
    taken = soak.run(seconds)
    counts = soak.total()
    bad = ["wrong values", "exceptions", "hangs"]
    for name in [*sorted(set(counts) - set(bad)), *bad]:
        print(f"{name:32}{counts[name]:>12,}")
    print(f"{'BLAS threads before, after':32}{soak.n_blas_threads!s:>12} {blas_threads()}")
    print(f"{'seconds':32}{taken:>12,.0f}")
    print(*(f"{kind}: {text}" for kind, text in soak.examples), sep="\n")
    sys.exit(any(counts[name] for name in bad))


if __name__ == "__main__":
    main()
