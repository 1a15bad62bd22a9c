"""Make a call and judge what it does: it succeeds, fails as documented, or has a fault."""

import contextlib
import copy
import io
import linecache
import traceback
import types
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import sklearn
from scipy import sparse

import sklearn_mf

PACKAGE = str(Path(sklearn_mf.__file__).parent)
OF_SCIKIT_LEARN = str(Path(sklearn.__file__).parent)
LONGEST_MESSAGE = 2_000
CALLABLES = (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.GeneratorType, map)


def freeze(value):
    """What a value holds, as something that can be compared; arrays to the bit.

    Generators of random numbers are the caller's, and go on with every call.
    """
    if isinstance(value, (int, float, complex, str, bytes, type(None), np.generic, *CALLABLES)):
        return type(value).__name__, repr(value)
    if isinstance(value, np.random.RandomState):
        return "RandomState"
    if isinstance(value, np.ma.MaskedArray):
        return freeze(value.data), freeze(np.ma.getmaskarray(value))
    if isinstance(value, np.ndarray):
        is_plain = value.dtype.kind in "biufcMmSUV"
        return str(value.dtype), value.shape, value.tobytes() if is_plain else freeze(value.ravel().tolist())
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [freeze(part) for part in value]
    if isinstance(value, dict):
        return {repr(key): freeze(part) for key, part in value.items()}
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas' own, of half precision
            return repr(value), str(getattr(value, "dtypes", ""))
    if isinstance(value, (pl.DataFrame, pl.Series, pa.Table, pa.Array)):
        return repr(value)
    if sparse.issparse(value):
        return repr(value), freeze(value.tocoo().data)
    return type(value).__name__, freeze(getattr(value, "__dict__", None))


class Outcome:
    """Say how a call ended: its ``status`` is "success", "documented" or "fault"; ``what`` is the type or the fault."""

    def __init__(self, status, what, details=""):
        self.status, self.what, self.details = status, what, details


def judge(call):
    """Make the call; tell success, a documented error and a fault apart."""
    inputs = call.args, call.kwargs
    before, subject_before = freeze(inputs), freeze(call.subject)
    error = result = None
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            result = call.function(*call.args, **call.kwargs)
        except Exception as raised:
            error = raised
        faults = [f"{warning.category.__name__}: {warning.message}" for warning in caught if not is_documented(warning)]
    if error is not None:
        faults += faults_of_error(error, call.more_errors)
        if freeze(call.subject) != subject_before:
            faults.append("a call that failed changed its object")
    if freeze(inputs) != before:
        faults.append("the call changed its arguments")
    if error is None and not faults:
        faults = faults_of_result(call, result)
    if faults:
        where = "".join(traceback.format_exception(error)[-4:]) if error is not None else ""
        return Outcome("fault", f"{call.name}: {faults[0]}", f"{'; '.join(faults)}\n{where}\n{show(call)}")
    return Outcome("success", call.name) if error is None else Outcome("documented", type(error).__name__)


def is_documented(warning):
    """Warnings of this package and of scikit-learn's checks are UserWarnings; NumPy's are none."""
    return issubclass(warning.category, UserWarning)


def faults_of_error(error, more_errors):
    """What is wrong with an error: its type, its message, or where it comes from."""
    faults, message = [], str(error)
    kind = f"{type(error).__name__}: {message[:200]}"
    frame = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".py")][-1]
    is_type_documented = type(error).__name__ in ("ValueError", "TypeError", "NotFittedError", "InvalidParameterError")
    if not message or len(message) > LONGEST_MESSAGE:
        faults.append(f"a message of {len(message)} characters: {kind}")
    elif isinstance(error, more_errors) or message.startswith("Big-endian buffer"):
        pass  # the second: pandas cannot take rows of such a column
    elif not is_type_documented:
        faults.append(f"not documented: {kind}")
    elif not frame.filename.startswith(OF_SCIKIT_LEARN) or frame.filename.startswith(PACKAGE):
        line = linecache.getline(frame.filename, frame.lineno).strip()
        if not (frame.filename.startswith(PACKAGE) and line.startswith("raise")):
            faults.append(f"not raised by a check: {kind}")
    return faults


def faults_of_result(call, result):
    """What the check of a result finds, without warnings of its own."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            call.check(result)
        except Exception as error:
            return [f"wrong result: {type(error).__name__}: {str(error)[:300]}"]
    return []


def show(call):
    """Write a call for a report."""
    subject = "" if call.subject is None else f" of {repr(copy.copy(call.subject))[:600]}"
    parts = [f"{value!r}"[:500] for value in call.args]
    parts += [f"{name}={value!r}"[:500] for name, value in call.kwargs.items()]
    return f"{call.name}({', '.join(parts)}){subject}"
