"""Archives that are damaged, encrypted, oddly compressed or far too large when unpacked."""

import gzip
import io
import struct
import zipfile

from helpers.movielens_files import ARCHIVES, FILES

RATINGS = "ml-1m/ratings.dat"


def rewritten(*, flags=None, method=None, crc=None, compression=zipfile.ZIP_DEFLATED):
    """The archive of 1m with other fields in the headers of its first file, and one in front of that file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in FILES["1m"].items():
            archive.writestr(name, data)
    data = bytearray(buffer.getvalue())
    local, central = data.index(b"PK\3\4"), data.index(b"PK\1\2")
    for start, shift in ((local, 0), (central, 2)):
        for offset, form, value in ((6, "<H", flags), (8, "<H", method), (14, "<I", crc)):
            if value is not None:
                struct.pack_into(form, data, start + shift + offset, value)
    return bytes(data)


def bomb(name, data, n_times):
    """An archive of 1m in which a file is some bytes many times over."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, its_data in FILES["1m"].items():
            if other != name:
                archive.writestr(other, its_data)
        with archive.open(name, "w") as file:
            for _ in range(n_times):
                file.write(data)
    return buffer.getvalue()


def gzip_bomb(data, n_times):
    """Some bytes many times over, compressed."""
    return gzip.compress(data, 1) * n_times  # members one after another are one file


def flipped(data, place):
    """Some bytes, one of them turned over."""
    data = bytearray(data)
    data[place] ^= 255
    return bytes(data)


BROKEN = {
    "encrypted": rewritten(flags=1),
    "strongly encrypted": rewritten(flags=0x41),
    "patched": rewritten(flags=0x20),
    "deflate64": rewritten(method=9),
    "unknown method": rewritten(method=99),
    "says lzma": rewritten(method=14),
    "says bzip2": rewritten(method=12),
    "wrong checksum": rewritten(crc=7),
    "flipped data": flipped(ARCHIVES["1m"], 60),
    "cut": ARCHIVES["1m"][:-30],
    "flipped directory": flipped(ARCHIVES["1m"], ARCHIVES["1m"].index(b"PK\1\2") + 28),
}
