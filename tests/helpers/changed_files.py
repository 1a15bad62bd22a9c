"""Files of models that were changed by hand: their entries edited, and written again as a proper archive."""

import hashlib
import io
import json
import zipfile

import numpy as np


def entries_of(content):
    """The arrays of a file by name."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)


def archive_of(arrays, **options):
    """An archive of arrays, as numpy.savez writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=True)
    return file.getvalue()


def header_of(arrays):
    return json.loads(arrays["header"].tobytes())


def with_header(arrays, header):
    """The arrays with another header, and its checksum."""
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    checksum = np.frombuffer(hashlib.sha256(text).digest(), dtype=np.uint8)
    return {**arrays, "header": text, "checksum": checksum}


def signed(arrays, header=None):
    """The arrays with all checksums computed again, as somebody who knows the format would do."""
    header = header_of(arrays) if header is None else header
    header["sha256"] = {
        name: hashlib.sha256(
            f"{name} {array.dtype.newbyteorder('<').str} {array.shape}\n".encode() + array.tobytes()
        ).hexdigest()
        for name, array in arrays.items()
        if name not in ("header", "checksum")
    }
    return with_header(arrays, header)
