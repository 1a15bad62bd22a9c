"""Check that links and images of the pages lead to files, and to headings that are there."""

import pytest
from helpers.pages import PAGES, anchors, links, name_of
from helpers.paths import ROOT

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        # A name of the package is a link to its API page: Sphinx checks it.
        if "://" in link or link.startswith("mailto:") or (not path and anchor.startswith("sklearn_mf.")):
            continue
        target = (page.parent / path).resolve() if path else page
        # In a clone, the gallery is not built. conf.py leads links to its scripts to its pages.
        assert target.parent != DOCS / "gallery", f"{link}: link to the script in examples"
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_pages_have_links():
    assert len(PAGES) > 10
    assert sum(len(links(page)) for page in PAGES) > 50
