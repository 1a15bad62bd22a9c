"""Check that files that are damaged or were changed by hand are refused, and that no file makes the package crash."""

import copy
import io
import time
import warnings
import zipfile
from itertools import pairwise

import numpy as np
import pytest
from helpers.changed_files import archive_of, entries_of, header_of, signed, with_header
from helpers.stored_models import (
    ALL,
    answers,
    encoder,
    later_rows,
    learned_later,
    popular,
    questions,
    ranker,
    regressor,
    state_of,
)

from sklearn_mf import MatrixFactorizationRegressor, load_model, save_model

TWO = ("text", "int64")
MAKERS = {
    "regressor": (ALL[:5], lambda kinds: learned_later(regressor(kinds), kinds)),
    "ranker": (TWO, lambda kinds: learned_later(ranker(kinds), kinds)),
    "encoder": (TWO, encoder),
    "popular": (TWO, popular),
}


@pytest.fixture(scope="module", params=MAKERS)
def original(request):
    """A model, the kinds of its ids, and the content of its file."""
    kinds, make = MAKERS[request.param]
    model, file = make(kinds), io.BytesIO()
    save_model(model, file)
    return model, kinds, file.getvalue()


@pytest.fixture(scope="module")
def small():
    """The entries of a regressor."""
    file = io.BytesIO()
    save_model(learned_later(regressor(TWO), TWO), file)
    return entries_of(file.getvalue())


def load(content):
    return load_model(io.BytesIO(content))


def names_the_file(error):
    assert str(error).startswith("The file")
    return True


def is_refused_or_works(content, kinds):
    """A file gives a ValueError, or a model that can be asked and taught; whether it is refused."""
    try:
        model = load(content)
    except ValueError as error:
        return names_the_file(error)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            answers(model, questions(kinds))
            if isinstance(model, MatrixFactorizationRegressor):
                model.partial_fit(*later_rows(kinds)[0])
        except ValueError:  # ids of the file are of another kind than those asked for, and the like
            pass
    return False


def test_a_changed_entry_is_refused(original):
    """One bit of an entry is changed, and the archive is written again with valid checksums of its own."""
    arrays = entries_of(original[2])
    for name, array in arrays.items():
        if not array.size:
            continue
        changed = array.copy()
        changed.reshape(-1).view(np.uint8)[changed.nbytes // 2] ^= 1
        with pytest.raises(ValueError, match=r"The file.*(checksum|JSON|format|version)"):
            load(archive_of({**arrays, name: changed}))
    names = list(arrays)
    for name, other in pairwise(names[2:]):
        with pytest.raises(ValueError, match=f"{name}.*checksum does not match"):
            load(archive_of({**arrays, name: arrays[other], other: arrays[name]}))


def test_damaged_bytes_are_refused_or_change_nothing(original):
    model, _, content = original
    rng, expected, n_refused = np.random.default_rng(0), state_of(model), 0
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            damaged[place] ^= int(rng.integers(1, 256))
        try:
            assert state_of(load(bytes(damaged))) == expected  # times and the like, which are not read
        except ValueError as error:
            n_refused += names_the_file(error)
    assert n_refused > 50


def test_truncated_files_are_refused(original):
    content = original[2]
    for size in [0, 1, 20, 21, 22, *range(100, len(content), len(content) // 40), len(content) - 1]:
        with pytest.raises(ValueError, match="The file"):
            load(content[:size])


def mutations(array, rng):
    """An array with other values, another shape and other types."""
    if array.size:
        for value in (-1, 2**31 - 1, np.nan, 1e30):
            changed = array.copy()
            with np.errstate(all="ignore"):
                changed.reshape(-1)[rng.integers(array.size)] = np.array(value).astype(array.dtype)
            yield changed
        yield array[:-1]
        yield array[::-1]
    yield np.concatenate([array, array])
    yield array.astype("i8" if array.dtype != np.int64 else "f8")
    yield array.reshape(*array.shape, 1)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_entries_that_are_changed_and_signed(original):
    """With all checksums right, only the checks of values are left."""
    _, kinds, content = original
    arrays, rng = entries_of(content), np.random.default_rng(0)
    n_refused = n_changes = 0
    for name in arrays.keys() - {"header", "checksum"}:
        for changed in mutations(arrays[name], rng):
            n_refused += is_refused_or_works(archive_of(signed({**arrays, name: changed})), kinds)
            n_changes += 1
        without = signed({other: array for other, array in arrays.items() if other != name})
        n_refused += is_refused_or_works(archive_of(without), kinds)
    assert n_refused > n_changes / 2


def leaves(values, path=()):
    """The paths of all values of JSON."""
    yield path
    if isinstance(values, dict):
        for key, value in values.items():
            yield from leaves(value, (*path, key))


OTHERS = [
    None,
    True,
    -1,
    0,
    10**30,
    1e300,
    "",
    "other",
    [],
    [1.0, None],
    {},
    {"list": [[]]},
    {"numpy": "O", "value": 1},
]


def test_headers_that_are_changed_and_signed(original):
    _, kinds, content = original
    arrays = entries_of(content)
    header, n_refused, n_changes = header_of(arrays), 0, 0
    for n, path in enumerate(list(leaves(header["model"]))[1:]):
        changed = copy.deepcopy(header)
        owner = changed["model"]
        for key in path[:-1]:
            owner = owner[key]
        owner[path[-1]] = OTHERS[n % len(OTHERS)]
        n_refused += is_refused_or_works(archive_of(signed(arrays, changed)), kinds)
        n_changes += 1
    assert n_refused > n_changes / 2


def in_header(change):
    def changed(arrays):
        header = header_of(arrays)
        change(header)
        return signed(arrays, header)

    return changed


def with_entry(name, change):
    return lambda arrays: signed({**arrays, name: change(arrays[name])})


def set_first(value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return change


REFUSED = {
    "a later version": (in_header(lambda h: h.update(version=2)), "has version 2 of the format.*reads only version 1"),
    "no version": (in_header(lambda h: h.pop("version")), "has version None"),
    "another format": (in_header(lambda h: h.update(format="other")), "does not say 'sklearn_mf model'"),
    "another estimator": (in_header(lambda h: h.update(estimator="Pipeline")), "does not know: 'Pipeline'"),
    "no estimator": (in_header(lambda h: h.update(estimator=[])), "does not know"),
    "no model": (in_header(lambda h: h.update(model=3)), "'header' is not a list of values by name"),
    "no header": (lambda a: {n: v for n, v in a.items() if n != "header"}, "it has no header"),
    "no checksum": (lambda a: {n: v for n, v in a.items() if n != "checksum"}, "'header' was changed or is damaged"),
    "an entry too many": (lambda a: {**a, "more": a["losses"]}, "'more' is not part of the model that was saved"),
    "a signed entry too many": (lambda a: signed({**a, "more": a["losses"]}), "'more' is not part of a model"),
    "an entry too few": (lambda a: {n: v for n, v in a.items() if n != "losses"}, "'losses' is missing"),
    "a parameter too many": (
        in_header(lambda h: h["model"]["parameters"].update(speed=3)),
        "'parameters.speed' is not known to this version",
    ),
    "a parameter that is not allowed": (
        in_header(lambda h: h["model"]["parameters"].update(rank=-3)),
        "'parameters' has values that are not allowed. The 'rank' parameter",
    ),
    "no UTF-8": (with_entry("column0.bytes", set_first(255)), "'column0.bytes' is not valid UTF-8 in id number 0"),
    "offsets from 1": (with_entry("column0.offsets", set_first(1)), "'column0.offsets' does not rise from 0"),
    "falling offsets": (
        with_entry("column0.offsets", lambda a: a[np.r_[0, 2, 1, 3 : len(a)]]),
        "'column0.offsets' does not rise from 0",
    ),
    "an id twice": (
        with_entry("column1.ids", lambda a: np.where(a == a.max(), a.min(), a)),
        "does not give distinct ids in increasing order",
    ),
    "a place beyond the ids": (with_entry("column1.sorter", set_first(99)), "'column1.sorter' has values above"),
    "a place below 0": (with_entry("column1.sorter", set_first(-1)), "'column1.sorter' has values below 0"),
    "no row": (in_header(lambda h: h["model"]["rows"].update(n=0)), "'rows.n' is not a whole number from 1 to"),
    "a negative mean weight": (
        in_header(lambda h: h["model"]["rows"].update(mean_weight=-1.0)),
        "'rows.mean_weight' is not a finite number from 0",
    ),
    "a scale of 0": (
        in_header(lambda h: h["model"]["state"].update(scale=0)),
        "'state.scale' is not a finite number from 5e-324",
    ),
    "no mean weight": (in_header(lambda h: h["model"]["rows"].pop("mean_weight")), "'rows.mean_weight' is missing"),
    "a row too few": (with_entry("column1.factors", lambda a: a[1:]), r"'column1.factors' has the shape .*is expected"),
    "factors that are not finite": (with_entry("column0.factors", set_first(np.nan)), "values that are not finite"),
    "another type": (with_entry("column0.biases", lambda a: a.astype("f8")), "numbers of type float64, but float32"),
    "three dimensions": (with_entry("losses", lambda a: a.reshape(-1, 1, 1)), "'losses' has no header of an array"),
    "columns in the order of Fortran": (
        with_entry("column0.factors", lambda a: np.asfortranarray(a)),
        "'column0.factors' has no header of an array of plain numbers",
    ),
    "pickled objects": (
        lambda a: {**a, "losses": np.array([print, len], dtype=object)},
        "'losses' has no header of an array of plain numbers",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_error_names_the_file_and_the_entry(what, small, tmp_path):
    change, message = REFUSED[what]
    path = tmp_path / "model.npz"
    path.write_bytes(archive_of(change(small)))
    with pytest.raises(ValueError, match=message) as error:
        load_model(path)
    assert str(error.value).startswith(repr(str(path)))


def test_archives_that_are_not_models():
    for content in (b"", b"PK", b"\0" * 200, archive_of({}), archive_of({"header": np.zeros(3)})):
        with pytest.raises(ValueError, match="The file is not a model file"):
            load(content)
    for text in (b"{", b"\xff", b"[]", b"[" * 100_000, b'{"version": NaN}'):
        with pytest.raises(ValueError, match="The file: its entry 'header' is not"):
            load(archive_of({"header": np.frombuffer(text, dtype=np.uint8)}))


def test_compressed_entries_are_refused(small):
    """So a small file can never need much memory."""
    bomb = archive_of({**small, "losses": np.zeros(10**6)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10**5
    with pytest.raises(ValueError, match="is compressed or encrypted"):
        load(bomb)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(1000000000, 1000000000)", "(100000000000000000, 0)", "(-1,)"])
def test_shapes_that_are_larger_than_the_file_are_refused(shape, small):
    content = archive_of(small)
    own = f"'shape': {small['losses'].shape}, }}".encode()
    place = content.index(own, content.index(b"losses.npy"))
    claimed = f"'shape': {shape}, }}".encode()
    content = content[:place] + claimed + content[place + len(claimed) :]  # spaces follow
    with pytest.raises(ValueError, match=r"'losses' (says that its shape is|has no header|is damaged)"):
        load(content)


def test_two_entries_of_one_name_are_refused(small):
    file = io.BytesIO(archive_of(small))
    with zipfile.ZipFile(file, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("losses.npy", archive.read("losses.npy"))
    with pytest.raises(ValueError, match=r"'losses.npy' is there twice"):
        load(file.getvalue())


def test_messages_do_not_show_long_texts_of_the_file(small):
    text = "x" * 10**5
    for change in (
        lambda h: h.update(estimator=text),
        lambda h: h["model"]["column0"].update(form=text),
        lambda h: h["model"].update({text: 1}),
    ):
        with pytest.raises(ValueError, match="The file") as error:
            load(archive_of(in_header(change)(small)))
        assert len(str(error.value)) < 2500


def test_a_listing_of_many_entries_is_checked_in_one_pass():
    content = archive_of(dict.fromkeys(map(str, range(40_000)), np.zeros(0)))
    start = time.process_time()
    with pytest.raises(ValueError, match="it has no header"):
        load(content)
    assert time.process_time() - start < 5


def test_a_file_written_again_by_numpy_is_the_same_model(small):
    """As its arrays are the same."""
    file = io.BytesIO()
    np.savez(file, **small)
    assert state_of(load(file.getvalue())) == state_of(load(archive_of(small)))


def test_an_older_file_lacks_newer_parameters(small):
    header = header_of(small)
    assert header["model"]["parameters"].pop("forgetting") == 0.0
    assert load(archive_of(with_header(small, header))).forgetting == 0.0
