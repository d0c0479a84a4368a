"""The client's `setup` in Chromium, with the GitHub and the AWS of the sandbox: a user creates an App and installs it, once with the
mouse on a desktop, and once with the keyboard on a phone. As for the book's pages, Chromium is required with CI=true only.
"""

import base64
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import rig
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from terminal import TARGET
from test_browser import DESKTOP, PHONE, WAIT, browser, requested, too_wide  # noqa: F401 (a fixture)
from tutorial import limited

REPOSITORY = "octo-org/octo-repo"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox")
    described = folder / "described.json"
    command = [TARGET / "debug" / "sandbox", "serve", "--describe", described, "--key", folder / "key.pem", "--repository", REPOSITORY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        with limited(process.kill):
            assert process.stdout.readline(), "the sandbox ended"
        yield json.loads(described.read_text())
        process.terminate()


@pytest.fixture
def setup(sandbox, tmp_path):
    """The command at work. Returns it, and the address of its page."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"} | rig.CREDENTIALS
    environment |= {"AWS_ENDPOINT_URL": sandbox["aws_url"], "GH_HOST": sandbox["github_host"]}
    command = [TARGET / "debug" / "github-token-broker", "setup", "--no-browser", "--name", tmp_path.name[:34], REPOSITORY]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process, limited(process.kill):
        yield process, next(line for line in process.stderr if line.startswith("Create the App: ")).split()[-1]
        process.kill()


def look(browser, name: str, size: tuple[int, int]) -> None:
    """What must hold on each page of the client."""
    if folder := os.environ.get("SCREENSHOTS"):
        os.makedirs(folder, exist_ok=True)
        picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        Path(folder, f"setup-{name}-{size[0]}.png").write_bytes(base64.b64decode(picture["data"]))
    assert too_wide(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.find_elements(By.TAG_NAME, "script") == []
    # The style is applied, so the policy's hash is right.
    button = browser.find_element(By.CSS_SELECTOR, "button, .button")
    assert button.value_of_css_property("background-color") == "rgba(31, 122, 58, 1)"
    assert button.size["height"] >= 40, "a finger must hit it"
    assert {urlsplit(url).netloc for url in requested(browser)} <= {urlsplit(browser.current_url).netloc}


def errors(browser) -> list[dict]:
    return [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]


def heading(browser, text: str) -> None:
    shown = WebDriverWait(browser, WAIT).until(lambda driver: driver.find_elements(By.XPATH, f"//body//*[contains(text(), '{text}')]"), text)
    assert shown[0].is_displayed()


@pytest.mark.parametrize(("size", "keyboard"), [(DESKTOP, False), (PHONE, True)], ids=["mouse", "keyboard"])
def test_user_creates_and_installs_the_app(browser, sandbox, setup, size, keyboard):  # noqa: F811
    process, url = setup
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def press(selector: str) -> None:
        """Presses a button, or moves to it with the keyboard and presses it."""
        wanted = browser.find_element(By.CSS_SELECTOR, selector)
        if not keyboard:
            wanted.click()
            return
        for _ in range(10):
            if browser.switch_to.active_element == wanted:
                break
            ActionChains(browser).send_keys(Keys.TAB).perform()
        assert browser.switch_to.active_element == wanted, f"{selector} cannot be reached with the keyboard"
        key = Keys.SPACE if wanted.get_attribute("type") == "checkbox" else Keys.ENTER
        ActionChains(browser).send_keys(key).perform()

    browser.get(url)
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # discard earlier entries
    browser.get(url)
    heading(browser, "Create a GitHub App")
    assert browser.switch_to.active_element.text == "Continue on GitHub"
    look(browser, "create", size)
    assert errors(browser) == []
    for text in ("octo-org", "contents: read", REPOSITORY):
        assert text in browser.find_element(By.TAG_NAME, "main").text
    press("main button")
    heading(browser, "Create GitHub App for octo-org")
    browser.get_log("browser")  # the sandbox's page has no icon
    press("form button")
    heading(browser, "The App exists")
    browser.get_log("performance")
    look(browser, "created", size)
    assert errors(browser) == []
    assert REPOSITORY in browser.find_element(By.TAG_NAME, "main").text
    press("a.button")
    heading(browser, "Install ")
    press(f"input[value='{REPOSITORY}']")
    press("form button")
    heading(browser, "Installed")
    printed, said = process.communicate()
    assert process.returncode == 0, said
    assert 'signing_key_arns = ["arn:aws:kms:' in printed
    assert "PRIVATE KEY" not in printed + said
