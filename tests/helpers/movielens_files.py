"""Small archives as GroupLens lays them out; no row is a real one."""

import hashlib
import io
import zipfile
from pathlib import Path

ROWS = [(3, 70, 4.0, 1000000001), (1, 500, 1.0, 1000000000), (3, 8, 5.0, 999999999)]
HALF_ROWS = [(3, 70, 3.5, 1000000001), (1, 500, 1.0, 1000000000), (3, 8, 0.5, 999999999), (70000, 8, 5.0, 5)]
FLAGS = {"": [0], "Comedy|Drama": [5, 8], "Western": [18]}  # places among the genres of u.genre
FILMS = [
    (8, 'Zoë: One, "Two" (1999)', "Comedy|Drama"),
    (70, "Nothing Known (1950)", ""),
    (500, "A::B (1962)", "Western"),
]
USERS = [(1, "F", 25, "writer", "00123"), (3, "M", 56, "other", "V1K2N")]


def lines(rows, sep="::", end="\n"):
    return "".join(sep.join(map(str, row)) + end for row in rows)


def write_100k():
    items = [
        (id_, title, "01-Jan-1999", "", "http://x", *(int(i in FLAGS[genres]) for i in range(19)))
        for id_, title, genres in FILMS
    ]
    return {
        "ml-100k/u.data": lines([(u, i, int(r), t) for u, i, r, t in ROWS], "\t").encode(),
        "ml-100k/u.item": lines(items, "|").encode("latin-1"),
        "ml-100k/u.user": lines([(id_, age, gender, *rest) for id_, gender, age, *rest in USERS], "|").encode(),
    }


def write_1m():
    return {
        "ml-1m/ratings.dat": lines([(u, i, int(r), t) for u, i, r, t in ROWS]).encode(),
        "ml-1m/movies.dat": lines(FILMS).encode("latin-1"),
        "ml-1m/users.dat": lines(USERS).encode(),
    }


def write_10m():
    rows = [(u, i, f"{r:g}", t) for u, i, r, t in HALF_ROWS]  # whole stars have no point
    films = [(id_, title, genres or "(no genres listed)") for id_, title, genres in FILMS]
    return {"ml-10M100K/ratings.dat": lines(rows).encode(), "ml-10M100K/movies.dat": lines(films).encode()}


def write_csv(variant):
    films = [
        (id_, '"' + title.replace('"', '""') + '"', genres or "(no genres listed)") for id_, title, genres in FILMS
    ]
    return {
        f"ml-{variant}/ratings.csv": lines(
            [("userId", "movieId", "rating", "timestamp"), *HALF_ROWS], ",", "\r\n"
        ).encode(),
        f"ml-{variant}/movies.csv": lines([("movieId", "title", "genres"), *films], ",", "\r\n").encode(),
        f"ml-{variant}/links.csv": b"not read",
    }


FILES = {"100k": write_100k(), "1m": write_1m(), "10m": write_10m()}
FILES |= {variant: write_csv(variant) for variant in ("20m", "25m", "32m", "latest-small")}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


ARCHIVES = {variant: zipped(files) for variant, files in FILES.items()}


def put_archive(home, variant):
    (home / f"ml-{variant}.zip").write_bytes(ARCHIVES[variant])


def unpack(home, files):
    for name, data in files.items():
        (home / name).parent.mkdir(exist_ok=True, parents=True)
        (home / name).write_bytes(data)


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())
