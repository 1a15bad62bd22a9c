"""Save fitted models as files of plain arrays, and load them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from os import PathLike
from typing import IO, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._encoder import MatrixFactorizationEncoder
from sklearn_mf._model_files.container import as_bytes, little_endian, read_arrays, refuse, write_arrays
from sklearn_mf._model_files.encoder import put_encoder, take_encoder
from sklearn_mf._model_files.entries import Draft, Part
from sklearn_mf._model_files.popular import put_popular, take_popular
from sklearn_mf._model_files.ranker import put_ranker, take_ranker
from sklearn_mf._model_files.regressor import put_regressor, take_regressor
from sklearn_mf._popular import MostPopularRecommender
from sklearn_mf._ranker import MatrixFactorizationRanker
from sklearn_mf._regressor import MatrixFactorizationRegressor
from sklearn_mf._version import __version__

Estimator = (
    MatrixFactorizationRegressor | MatrixFactorizationRanker | MatrixFactorizationEncoder | MostPopularRecommender
)

_FORMAT, _VERSION = "sklearn_mf model", 1
_WRITERS: dict[type, Callable[[Draft, Any], None]] = {
    MatrixFactorizationRegressor: put_regressor,
    MatrixFactorizationRanker: put_ranker,
    MatrixFactorizationEncoder: put_encoder,
    MostPopularRecommender: put_popular,
}
_READERS: dict[str, Callable[[Part], Any]] = {
    "MatrixFactorizationRegressor": take_regressor,
    "MatrixFactorizationRanker": take_ranker,
    "MatrixFactorizationEncoder": take_encoder,
    "MostPopularRecommender": take_popular,
}


def save_model(model: Estimator, file: str | PathLike[str] | IO[bytes]) -> None:
    """Write a fitted estimator to a file of plain arrays, without pickle.

    The file holds everything that the methods of the estimator use. So the loaded estimator gives the same predictions,
    lists, features and standard deviations, bit for bit. It can also learn more ratings.

    The file is an ``.npz`` archive: ``numpy.load(file, allow_pickle=False)`` opens it, too. Numbers are little-endian
    on every machine. The same model always gives the same bytes.

    Parameters
    ----------
    model : estimator
        A fitted ``MatrixFactorizationRegressor``, ``MatrixFactorizationRanker``, ``MatrixFactorizationEncoder`` or
        ``MostPopularRecommender``.

    file : str, path-like or binary file object
        Where to write. No suffix is added to the name, so end it with ".npz". If there is a file at this path, it is
        replaced in one step when the new file is complete. So a reader always finds a whole file. The new file has the
        permissions of the old one. A file object must be open for writing in binary mode.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is another object, also if it is a subclass of these estimators or a pipeline. Of a Dask estimator, save
        its ``to_local()``.
    ValueError
        If plain arrays cannot hold a parameter: ``random_state`` is a ``RandomState``, or ``cv`` is a splitter. Also if
        a parameter is not valid, or if ``factors_`` or ``biases_`` have values that are not finite.
    OSError
        If the file cannot be written. An older file at this path stays as it was.

    See Also
    --------
    load_model : Read the file.

    Notes
    -----
    The file does not hold callbacks, settings of metadata routing, and attributes that you added.

    The file is not encrypted. It has all ids. With ``keep_pairs=True``, it also says who chose what.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_mf import MatrixFactorizationRegressor, load_model, save_model
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["cem", "Brazil"]]
    >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 4])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "films.npz"
    ...     save_model(model, path)
    ...     loaded = load_model(path)
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    """
    if type(model) not in _WRITERS:
        name, hint = type(model).__name__, ""
        if hasattr(model, "to_local"):
            hint = " Call its to_local() and save the result."
        elif hasattr(model, "best_estimator_"):
            hint = " Save its best_estimator_."
        elif type(file) in _WRITERS:
            hint = " The model comes first: save_model(model, file)."
        raise TypeError(f"save_model writes {', '.join(_READERS)}, but not {name}.{hint}")
    check_is_fitted(model)
    draft = Draft()
    _WRITERS[type(model)](draft, model)
    try:
        header = json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "written_by": f"sklearn_mf {__version__}",
                "estimator": type(model).__name__,
                "model": draft.values,
                "sha256": {name: _digest(name, array) for name, array in draft.arrays.items()},
            },
            allow_nan=False,
        )
    except ValueError:
        raise ValueError("This model has parameters or results that are not finite, so it cannot be saved.") from None
    _take_model("This model", type(model).__name__, json.loads(header)["model"], dict(draft.arrays))
    text = np.frombuffer(header.encode("ascii"), dtype=np.uint8)
    checksum = np.frombuffer(hashlib.sha256(text).digest(), dtype=np.uint8)
    write_arrays(file, {"header": text, "checksum": checksum, **draft.arrays})


def load_model(file: str | PathLike[str] | IO[bytes]) -> Estimator:
    """Read an estimator that ``save_model`` has written.

    Loading runs no code from the file. It checks names, types, sizes, checksums, the order of ids, indices, text, and
    parameters. If the file is damaged, or was changed by hand, a ValueError is raised. But a checksum is not a
    signature: anyone who knows the format can write a valid file with other numbers.

    Parameters
    ----------
    file : str, path-like or binary file object
        The file. A file object must be open for reading in binary mode, and must be able to seek.

    Returns
    -------
    model : estimator
        The fitted estimator, of the class that was saved: ``MatrixFactorizationRegressor``,
        ``MatrixFactorizationRanker``, ``MatrixFactorizationEncoder`` or ``MostPopularRecommender``.

    Raises
    ------
    ValueError
        If the file is not a model, was changed, is damaged, or was written by a later version. The error names the file
        and the entry.
    OSError
        If the file cannot be opened or read.
    TypeError
        If ``file`` is not a path or a binary file object.

    See Also
    --------
    save_model : Write the file.

    Examples
    --------
    >>> import io
    >>> from sklearn_mf import MatrixFactorizationRanker, load_model, save_model
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
    ...      ["bob", "Brazil"], ["cem", "Brazil"]]
    >>> file = io.BytesIO()
    >>> save_model(MatrixFactorizationRanker(rank=2, random_state=0).fit(X), file)
    >>> load_model(file).recommend(["cem"], 1)[0]
    array([['Alien']], dtype=object)
    """
    label, arrays = read_arrays(file)
    text, checksum = (arrays.pop(name, None) for name in ("header", "checksum"))
    header = _parse(label, text)
    if header.get("format") != _FORMAT:
        refuse(label, f"is not a model file: its header does not say {_FORMAT!r}")
    if type(header.get("version")) is not int or header["version"] != _VERSION:
        refuse(
            label,
            f"has version {header.get('version')!r} of the format, but this version of sklearn_mf reads only version "
            f"{_VERSION}. It was written by {header.get('written_by')!r}: load it with this version",
        )
    if checksum is None or checksum.tobytes() != hashlib.sha256(text).digest():
        refuse(label, "was changed or is damaged: its checksum does not match", "header")
    _check_digests(label, header.get("sha256"), arrays)
    return _take_model(label, header.get("estimator"), header.get("model"), arrays)


def _take_model(label: str, name: Any, values: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Make an estimator of values and arrays; check everything."""
    if not isinstance(name, str) or name not in _READERS:
        refuse(label, f"has an estimator that this version of sklearn_mf does not know: {name!r}")
    model = _READERS[name](Part(label, values, arrays))
    for entry in arrays:
        refuse(label, "is not part of a model", entry)
    return model


def _parse(label: str, text: np.ndarray | None) -> dict[str, Any]:
    """Read the header, which is JSON."""
    if text is None or text.ndim != 1 or text.dtype != np.uint8:
        refuse(label, "is not a model file of sklearn_mf: it has no header")
    try:
        header = json.loads(text.tobytes().decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        refuse(label, "is not valid JSON", "header")
    if not isinstance(header, dict):
        refuse(label, "is not a list of values by name", "header")
    return header


def _no_constant(name: str) -> None:
    """Raise a ValueError for numbers that JSON does not have."""
    raise ValueError(name)


def _check_digests(label: str, digests: Any, arrays: dict[str, np.ndarray]) -> None:
    """Check that the file has exactly the arrays that its header lists, unchanged."""
    if not isinstance(digests, dict):
        refuse(label, "has no checksums", "header")
    for name in digests:
        if name not in arrays:
            refuse(label, "is missing", name)
    for name, array in arrays.items():
        if name not in digests:
            refuse(label, "is not part of the model that was saved", name)
        if digests[name] != _digest(name, array):
            refuse(label, "was changed or is damaged: its checksum does not match", name)


def _digest(name: str, array: np.ndarray) -> str:
    """Return the SHA-256 checksum of an array with its name, type and shape."""
    array = little_endian(array)
    digest = hashlib.sha256(f"{name} {array.dtype.str} {array.shape}\n".encode())
    digest.update(as_bytes(array))
    return digest.hexdigest()
