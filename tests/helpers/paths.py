"""Where the project is, and where real ratings may be."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
REAL_DATA = Path(os.environ.get("SKLEARN_MF_DATA", ROOT.parent / "shared" / "data"))
REAL_SETS = {
    "ml-100k": "u.data",
    "ml-1m": "ratings.dat.gz",
    "ml-latest-small": "ratings.csv",
    "movietweetings-100k": "ratings.dat",
}
