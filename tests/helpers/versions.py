"""The version of the package, in each file that says it."""

import re

PLACES = {
    "meson.build": r"^  version: '([^']+)',$",
    "CITATION.cff": r"^version: (\S+)$",
    "CHANGELOG.md": r"^## (\d\S*?)(?:,| |$)",  # the newest section
    "conda/recipe.yaml": r"^  version: (\S+)$",
}


def versions(root):
    """Map the name of each file to the version that it says."""
    found = {}
    for name, pattern in PLACES.items():
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
        found[name] = match[1] if match else None
    return found
