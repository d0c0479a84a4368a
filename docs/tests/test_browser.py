"""The built book in Chromium: every page renders on a desktop and on a phone, without errors, and without requests to other hosts.

Input: docs/book, served on loopback. With SCREENSHOTS=folder, each page is also saved as a picture, for people to look at. If
Chromium or its driver is missing, the tests are skipped, and with CI=true they fail.
"""

import base64
import json
import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from book import BUILT, blocks, pages

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = "no Chromium with a chromedriver on PATH: on Debian, `sudo make browser` installs both"

# The browser itself must not use the network: that would fail, or hide what a page does.
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-default-apps --disable-extensions --hide-scrollbars""".split()

DESKTOP, PHONE = (1280, 900), (390, 844)
THEMES = {"light": "light", "dark": "navy"}
WAIT = 60  # seconds until a page that never gets ready is a failure, also on a loaded machine


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log."""

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
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER, env=os.environ | home))
    browser.set_page_load_timeout(WAIT)
    yield browser
    browser.quit()


def built(page: str) -> str:
    return page.removesuffix(".md") + ".html"


def diagrams(page: str) -> int:
    return len(blocks(page, "mermaid"))


def show(browser, site: str, page: str, size: tuple[int, int], theme: str = "light") -> None:
    """Opens a page at a size, and waits until its diagrams are rendered."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    if not browser.current_url.startswith(site):
        browser.get(f"{site}/{built(page)}")
    browser.execute_script(f"localStorage.setItem('mdbook-theme', '{THEMES[theme]}')")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # discard earlier entries
    browser.get(f"{site}/{built(page)}")
    drawn = f"return document.querySelectorAll('pre.mermaid svg').length === {diagrams(page)}"
    WebDriverWait(browser, WAIT).until(lambda driver: driver.execute_script(drawn), f"{page}: diagrams are not rendered")


@pytest.mark.parametrize(("size", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
@pytest.mark.parametrize("page", pages())
def test_page_renders(browser, site, page, size, theme):
    show(browser, site, page, size, theme)
    if folder := os.environ.get("SCREENSHOTS"):
        os.makedirs(folder, exist_ok=True)
        picture = Path(folder, f"{page.replace('/', '-')}-{size[0]}-{theme}.png")
        whole = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        picture.write_bytes(base64.b64decode(whole["data"]))
    heading = browser.find_element(By.CSS_SELECTOR, "main h1")
    assert heading.is_displayed() and heading.text
    assert theme_of(browser) == THEMES[theme]

    overflow = too_wide(browser)
    assert not overflow, f"{page} is wider than {size[0]} pixels: {overflow}"
    for diagram in browser.find_elements(By.CSS_SELECTOR, "pre.mermaid svg"):
        assert diagram.size["width"] > 100 and diagram.size["height"] > 50, "a diagram is invisible"
        assert diagram.get_attribute("aria-roledescription") != "error", "a diagram shows a syntax error"
        assert "Unsupported markdown" not in diagram.get_attribute("textContent"), "a label starts a list"

    errors = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert not errors, f"{page} logs errors: {errors}"
    assert {urlsplit(url).netloc for url in requested(browser)} == {urlsplit(site).netloc}


def too_wide(browser) -> list[str]:
    """Elements that reach past the right edge, and tables that are cut off by a scrolling box. Only code and diagrams may scroll."""
    return browser.execute_script("""
        const main = document.querySelector('main'), edge = document.documentElement.clientWidth + 1
        const right = element => element.getBoundingClientRect().right
        const canScroll = element => ['PRE', 'CODE'].includes(element.tagName) && right(element) <= edge
        const scrolls = element => element !== main && (canScroll(element) || scrolls(element.parentElement))
        const outside = [...main.querySelectorAll('*')].filter(element => right(element) > edge && !scrolls(element))
        const cutOff = [...main.querySelectorAll('table')].filter(table =>
            table.getBoundingClientRect().width > table.parentElement.clientWidth + 1)
        return [...outside, ...cutOff].map(element => element.outerHTML.slice(0, 120))
    """)


@pytest.mark.parametrize("theme", THEMES)
def test_link_to_an_error_highlights_its_section(browser, site, theme):
    show(browser, site, "reference/errors.md", DESKTOP, theme)
    browser.get(f"{site}/reference/errors.html#appnotinstalled")
    target = browser.find_element(By.CSS_SELECTOR, "h3:target")
    other = browser.find_element(By.ID, "inputrefused")
    assert target.text == "AppNotInstalled"
    background = "background-color"
    assert target.value_of_css_property(background) != other.value_of_css_property(background)


def test_terraform_is_highlighted(browser, site):
    show(browser, site, "tutorials/deploy-your-first-broker.md", DESKTOP)
    block = "code.language-hcl .hljs-"
    for kind in ("keyword", "attr", "string"):
        assert browser.find_elements(By.CSS_SELECTOR, f"{block}{kind}"), f"no {kind} is highlighted"


def test_cells_have_the_names_of_their_columns_on_a_phone(browser, site):
    show(browser, site, "reference/response.md", PHONE)
    cell = browser.find_element(By.CSS_SELECTOR, "main td:nth-child(2)")
    assert cell.value_of_css_property("display") == "block"
    assert cell.get_attribute("data-label") == "Type"


def test_footer_has_source_and_version(browser, site):
    show(browser, site, "faq.md", DESKTOP)
    footer = browser.find_element(By.CSS_SELECTOR, "footer.page-footer")
    assert "Version " in footer.text
    source = footer.find_element(By.CSS_SELECTOR, "a").get_attribute("href")
    assert source.endswith("/blob/master/docs/src/faq.md")


def theme_of(browser) -> str:
    classes = browser.execute_script("return [...document.documentElement.classList]")
    (theme,) = set(classes) & {"light", "rust", "coal", "navy", "ayu"}
    return theme


def requested(browser) -> list[str]:
    """The address of every request since the page was opened."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "blob:"))]


def test_search_finds_an_error_type(browser, site):
    show(browser, site, pages()[0], DESKTOP)
    browser.find_element(By.ID, "mdbook-search-toggle").click()
    field = browser.find_element(By.ID, "mdbook-searchbar")
    WebDriverWait(browser, WAIT).until(lambda _: field.is_displayed())
    field.send_keys("errorType")
    first = WebDriverWait(browser, WAIT).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#mdbook-searchresults a"), "the search finds nothing"
    )
    found = [link.get_attribute("href") for link in first]
    assert any("/reference/errors.html" in href for href in found), found
    field.send_keys(Keys.ESCAPE)


def test_bad_page_is_detected(browser, site):
    """The checks above can fail: a page with a request to another host, a logged error and wide content shows all three."""
    show(browser, site, pages()[0], PHONE)
    browser.execute_async_script(
        "const done = arguments[0]; console.error('made up');"
        "document.querySelector('main').innerHTML += '<div style=\"width:999px\">wide</div><div style=\"overflow-x:auto\"><table style=\"width:999px;display:table\"><td>wide</table></div>';"
        "fetch('http://127.0.0.2:9/elsewhere').catch(() => {}).finally(done)"
    )
    assert {line[:4] for line in too_wide(browser)} >= {"<div", "<tab"}
    assert any("made up" in line["message"] for line in browser.get_log("browser"))
    assert any("127.0.0.2" in url for url in requested(browser))
