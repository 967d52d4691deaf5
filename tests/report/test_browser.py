"""The report in a real browser: no network, no error, at desktop and phone width, printed, by keyboard."""

import os
import shutil

import pytest
from contrast import CONTRAST
from simulated import IDENTICAL, TUNED, simulate

from derm_ml.report.html import write_report

pytestmark = pytest.mark.service  # a browser is needed


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser_path:
        reason = "a browser is needed (apt install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    arms = {"vae": (0.9, 0.05), "imagenet": (2.0, 0.3), "pixels": (0.8, 0.02), "majority": (0.0, 0.0)}
    made = simulate(arms, splits=3, images=120, places=(IDENTICAL, TUNED))
    path, found, _ = write_report(made, tmp_path_factory.mktemp("browser"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])

        def open_at(width, height):
            context = browser.new_context(viewport={"width": width, "height": height})
            context.set_offline(True)
            page = context.new_page()
            page.wrong, page.fetched = [], []
            page.on("pageerror", lambda error: page.wrong.append(str(error)))
            page.on("request", lambda request: page.fetched.append(request.url))
            page.goto(path.as_uri())
            page.fetched = [url for url in page.fetched if not url.startswith(("file:", "data:", "blob:"))]
            return page

        yield open_at, found
        browser.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_opens_offline_and_fits(page_of, width, height):
    open_at, found = page_of
    page = open_at(width, height)
    assert (page.wrong, page.fetched) == ([], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    answer = page.locator("#answer")
    assert answer.bounding_box()["y"] < height / 2  # seen without scrolling
    assert [line.split(" (")[0] for line in answer.inner_text().split("\n") if line] == [
        line.split(" (")[0] for line in found.lines
    ]
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 200)")


def test_the_curves_answer_to_the_pointer(page_of):
    page = page_of[0](1280, 900)
    page.locator("#pointing > summary").press("Enter")  # by keyboard
    plot = page.locator("#curves .plotly")
    plot.first.wait_for()
    page.wait_for_timeout(500)
    assert page.locator("#curves").bounding_box()["width"] > 600
    box = page.locator("#curves .draglayer").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#curves .hoverlayer").get_by_text("vae").first.wait_for()
    assert page.wrong == []


def test_it_prints(page_of):
    page = page_of[0](1280, 900)
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#answer").is_visible()


def test_words_stand_out_from_their_ground(page_of):
    """WCAG's contrast of 4.5 for every text, from the computed colours."""
    low = page_of[0](1280, 900).evaluate(CONTRAST)
    assert low == []
