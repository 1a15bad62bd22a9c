"""Check that calls of everything public, with good and bad arguments, succeed or fail as documented."""

from collections import Counter

import pytest
from helpers import fuzz_datasets, fuzz_functions, fuzz_models, fuzz_rankers
from helpers.fuzz_choices import for_each_call
from helpers.fuzz_judge import judge

PARTS = {"models": fuzz_models, "rankers": fuzz_rankers, "functions": fuzz_functions, "datasets": fuzz_datasets}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_calls_succeed_or_fail_as_documented(part):
    """Nothing that fails changes its object or its arguments; run.py makes many more such calls."""
    counts = Counter()

    def judge_and_count(call):
        outcome = judge(call)
        counts[outcome.status] += 1
        assert outcome.status != "fault", outcome.details

    for_each_call(part.MAKERS, judge_and_count, 150)
    assert counts["success"] >= counts["documented"]
