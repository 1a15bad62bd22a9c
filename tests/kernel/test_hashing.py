"""Check that hashing finds the first place of each distinct id."""

import subprocess
import sys

import numpy as np
import pytest

from sklearn_mf._kernel import hashing


@pytest.mark.parametrize("n_levels", [1, 3000, 100_000])
@pytest.mark.parametrize("length", [1, 8, 12, 30])
def test_hashing_many_levels(n_levels, length):
    """More levels than the table begins with, and strings that differ in a few bytes."""
    drawn = np.random.default_rng(0).integers(n_levels, size=200_000)
    integers = drawn * 2**40 + 7
    codes = np.empty(len(drawn), dtype=np.int32)
    first = hashing.hash_integers(integers, codes)
    np.testing.assert_array_equal(integers[first][codes], integers)
    assert len(first) == len(np.unique(drawn))
    assert (np.diff(first) > 0).all()

    text = np.char.zfill(drawn.astype(str), length)
    offsets = np.concatenate([[0], np.cumsum(np.char.str_len(text))])
    first = hashing.hash_bytes(np.frombuffer("".join(text).encode(), dtype=np.uint8), offsets, codes)
    np.testing.assert_array_equal(text[first][codes], text)
    assert len(first) == len(np.unique(drawn))

    texts = hashing.hash_strings(text.astype(object), codes)
    assert [texts[code] for code in codes[:1000]] == text[:1000].tolist()
    assert len(texts) == len(set(texts)) == len(first)


def test_strings_are_told_from_other_objects():
    class Text(str):
        pass

    codes = np.empty(2, dtype=np.int32)
    for other in (1, None, b"a", Text("a")):
        assert hashing.hash_strings(np.array(["a", other], dtype=object), codes) is None


def invert_old_mix(x):
    """The x' with mix(x') = x, for the mix that the hash once was."""
    mask = 2**64 - 1
    x ^= x >> 29 ^ x >> 58
    x = x * pow(0x9E3779B97F4A7C15, -1, 2**64) & mask
    return x ^ x >> 32


def test_nobody_can_choose_ids_that_collide():
    """Ids that all fell into one slot of a hash without a secret are spread as any others are."""
    crafted = [invert_old_mix(i << 40) for i in range(3000)]
    crafted = np.array(crafted, dtype=np.uint64).astype(np.int64)
    slots = {hashing.hash_of_integer(int(x)) & 0xFFFF for x in crafted}
    assert len(slots) > 2800


def test_hashes_are_secrets_of_the_process(tmp_path):
    code = "from sklearn_mf._kernel.hashing import hash_of_integer; print(hash_of_integer(1), hash_of_integer(2))"
    seen = {
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(seen) == 2


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 1000])
@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers_are_found_among_levels(dtype, is_sorted, n):
    """Levels in any order with what sorts them, as those that came later have."""
    rng = np.random.default_rng(n)
    levels = np.unique(rng.integers(-3 * n, 3 * n + 1, size=n).astype(np.int64))
    sorter = None
    if not is_sorted:
        levels = rng.permutation(levels)
        sorter = np.argsort(levels)
    values = np.arange(-3 * n - 2, 3 * n + 3, dtype=dtype)
    out = np.full(2 * len(values), 7, dtype=np.int32)[::2]
    hashing.find_integers(values, levels, sorter, out)
    place_of = {level: place for place, level in enumerate(levels.tolist())}
    assert out.tolist() == [place_of.get(value, -1) for value in values.tolist()]


def test_sorters_that_do_not_fit_are_refused():
    values, levels, out = np.arange(3), np.arange(3), np.empty(3, dtype=np.int32)
    with pytest.raises(IndexError, match="beyond the levels"):
        hashing.find_integers(values, levels, np.array([0, 3, 1]), out)
    with pytest.raises(ValueError, match="elements"):
        hashing.find_integers(values, levels, np.array([0, 1]), out)
    with pytest.raises(ValueError, match="elements"):
        hashing.find_integers(values, levels, None, out[:2])
