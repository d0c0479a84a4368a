"""The built book in Chromium: every page renders, on a desk and on a phone, with nothing from another host and no error.

In: docs/book, served on loopback; SCREENSHOTS, a folder for a picture of each page, for people to look at. Where Chromium or its
driver is missing, that is said, and with CI=true it is a failure.
"""

import json
import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from book import BUILT, blocks, pages

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = "no Chromium with a chromedriver on PATH: on Debian, `sudo make browser` brings both"

# Nothing of the browser's own may go to the network: it would fail, or hide what a page does.
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-default-apps --disable-extensions --hide-scrollbars""".split()

DESK, PHONE = (1280, 900), (375, 812)
THEMES = {"light": "light", "dark": "navy"}
WAIT = 60  # seconds until a page that never gets ready is a failure, on a loaded machine too


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=BUILT))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (BROWSER and DRIVER):
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    browser.set_page_load_timeout(WAIT)
    yield browser
    browser.quit()


def built(page: str) -> str:
    return page.removesuffix(".md") + ".html"


def diagrams(page: str) -> int:
    return len(blocks(page, "mermaid"))


def show(browser, site: str, page: str, size: tuple[int, int], theme: str = "light") -> None:
    """Opens a page at a size, and waits until its diagrams are drawn."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    if not browser.current_url.startswith(site):
        browser.get(f"{site}/{built(page)}")
    browser.execute_script(f"localStorage.setItem('mdbook-theme', '{THEMES[theme]}')")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # what was there before
    browser.get(f"{site}/{built(page)}")
    drawn = f"return document.querySelectorAll('pre.mermaid svg').length === {diagrams(page)}"
    WebDriverWait(browser, WAIT).until(lambda driver: driver.execute_script(drawn), f"{page}: diagrams are not drawn")


@pytest.mark.parametrize(("size", "theme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
@pytest.mark.parametrize("page", pages())
def test_a_page_renders(browser, site, page, size, theme):
    show(browser, site, page, size, theme)
    if folder := os.environ.get("SCREENSHOTS"):
        os.makedirs(folder, exist_ok=True)
        picture = f"{folder}/{page.replace('/', '-')}-{size[0]}-{theme}.png"
        assert browser.save_screenshot(picture), f"{picture} was not written"
    heading = browser.find_element(By.CSS_SELECTOR, "main h1")
    assert heading.is_displayed() and heading.text
    assert theme_of(browser) == THEMES[theme]

    overflow = too_wide(browser)
    assert not overflow, f"{page} is wider than {size[0]} pixels: {overflow}"
    for diagram in browser.find_elements(By.CSS_SELECTOR, "pre.mermaid svg"):
        assert diagram.size["width"] > 100 and diagram.size["height"] > 50, "a diagram is not to be seen"
        assert diagram.get_attribute("aria-roledescription") != "error", "a diagram is a picture of an error"

    said = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert not said, f"{page} has errors on the console: {said}"
    assert {urlsplit(url).netloc for url in requested(browser)} == {urlsplit(site).netloc}


def too_wide(browser) -> list[str]:
    """What reaches past the right edge, but for what lies in a box of its own that scrolls, as wide tables and code do."""
    return browser.execute_script("""
        const main = document.querySelector('main'), edge = document.documentElement.clientWidth + 1
        const right = element => element.getBoundingClientRect().right
        const scrolls = element => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX) && right(element) <= edge
        const inABox = element => element !== main && (scrolls(element) || inABox(element.parentElement))
        return [...main.querySelectorAll('*')].filter(element => right(element) > edge && !inABox(element))
            .map(element => element.outerHTML.slice(0, 120))
    """)


def theme_of(browser) -> str:
    classes = browser.execute_script("return [...document.documentElement.classList]")
    (theme,) = set(classes) & {"light", "rust", "coal", "navy", "ayu"}
    return theme


def requested(browser) -> list[str]:
    """The address of every request since the page was asked for."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "blob:"))]


def test_search_finds_an_error_type(browser, site):
    show(browser, site, pages()[0], DESK)
    browser.find_element(By.ID, "mdbook-search-toggle").click()
    field = browser.find_element(By.ID, "mdbook-searchbar")
    WebDriverWait(browser, WAIT).until(lambda _: field.is_displayed())
    field.send_keys("errorType")
    first = WebDriverWait(browser, WAIT).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#mdbook-searchresults a"), "search finds nothing"
    )
    found = [link.get_attribute("href") for link in first]
    assert any("/reference/errors.html" in href for href in found), found
    field.send_keys(Keys.ESCAPE)


def test_a_page_that_calls_out_is_seen(browser, site):
    """The check above can fail: a page that asks another host, logs an error and is too wide shows all three."""
    show(browser, site, pages()[0], PHONE)
    browser.execute_async_script(
        "const done = arguments[0]; console.error('made up');"
        "document.querySelector('main').innerHTML += '<div style=\"width:999px\">wide</div>';"
        "fetch('http://127.0.0.2:9/elsewhere').catch(() => {}).finally(done)"
    )
    assert len(too_wide(browser)) == 1
    assert any("made up" in line["message"] for line in browser.get_log("browser"))
    assert any("127.0.0.2" in url for url in requested(browser))
