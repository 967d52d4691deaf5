"""The data check's page in a real browser: at desktop and phone width, light and dark, printed, by keyboard."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from contrast import CONTRAST
from test_page import ODD, collection

from derm_ml.data.checks import DataReport
from derm_ml.data.page.html import page as page_of_data

pytestmark = pytest.mark.service  # a browser is needed


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser_path:
        reason = "a browser is needed (apt install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    ids = [f"folder/{number}.jpg" for number in range(80)]
    clinical = pd.DataFrame(
        {"age": np.arange(80.0), "sex": ["female", "male"] * 40, "site": ["lower-extremity-" * 9, "back"] * 40},
        index=ids,
    )
    report = DataReport(
        choices=[("label", "column " + "x" * 300)],
        refused=[("y" * 250 + ".jpg", "no image"), *((f"{n}.jpg", "damaged") for n in range(30))],
        flagged=[(ids[3], "nearly empty")],
        near_duplicates=[(ids[0], ids[1]), (ids[2], ids[7])],
        warnings=["The column sex is empty for " + "z" * 200],
    )
    names = [*ODD, "w" * 200, *(f"class {n}" for n in range(40))]
    text = page_of_data(collection(80, names, clinical=clinical, report=report, groups=["p" * 90] * 80))
    path = tmp_path_factory.mktemp("browser") / "page.html"
    path.write_text(text, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])

        def open_at(width, scheme="light"):
            context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
            shown = context.new_page()
            shown.fetched = []
            shown.on("request", lambda request: shown.fetched.append(request.url))
            shown.goto(path.as_uri())
            shown.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            return shown

        yield open_at
        browser.close()


WIDER = """() => [...document.querySelectorAll("body *")].filter(
  each => each.getBoundingClientRect().right > innerWidth && !each.matches(".skip")
).map(each => each.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_it_fits_and_fetches_nothing(opened, width):
    shown = opened(width)
    assert shown.evaluate(WIDER) == []
    assert [url for url in shown.fetched if not url.startswith(("file:", "data:"))] == []
    assert shown.locator("#answer").bounding_box()["y"] < 400
    assert shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 30)")
    assert shown.evaluate("[...document.images].every(image => image.alt)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(opened, scheme):
    assert opened(1280, scheme).evaluate(CONTRAST) == []


def test_it_prints_and_answers_to_the_keyboard(opened):
    shown = opened(1280)
    assert shown.pdf().startswith(b"%PDF")
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.textContent") == "Skip to the classes"
    assert shown.evaluate("document.activeElement.getBoundingClientRect().x") >= 0
