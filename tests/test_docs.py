"""Every link of the documents leads somewhere, and every picture and table of docs/ is shown somewhere."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """As the sites that show Markdown make them of headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_nothing_is_kept_that_no_page_shows():
    shown = {
        (page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in LINK.findall(page.read_text())
    }
    kept = {*ROOT.glob("docs/figures/*"), *ROOT.glob("docs/tables/*")}
    assert not kept - shown


NUMBER = r"(-?\d+\.\d+)"
ESTIMATE = re.compile(rf"{NUMBER}\s+\[{NUMBER},\s+{NUMBER}\]")


@pytest.mark.parametrize("page", ["README.md", "docs/pretraining.md", "docs/adr/0013-the-default-recipe.md"])
def test_every_estimate_that_is_quoted_stands_in_a_table(page):
    """As it is, rounded, or with its sides exchanged (a minus b is minus that of b minus a)."""
    kept = {
        match.groups() for table in ROOT.glob("docs/tables/*.csv") for match in ESTIMATE.finditer(table.read_text())
    }
    known = np.array([[float(each) for each in estimate] for estimate in kept])
    known = np.concatenate([known, -known[:, [0, 2, 1]]])
    quoted = [match.groups() for match in ESTIMATE.finditer((ROOT / page).read_text())]
    assert quoted
    for estimate in quoted:
        places = min(len(each.partition(".")[2]) for each in estimate)
        distance = np.abs(known - [float(each) for each in estimate]).max(axis=1)
        assert distance.min() <= 0.5 * 10**-places * (places < 3) + 1e-9, estimate
