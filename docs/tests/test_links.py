"""Every link within the project works: between pages and their headings, from the front pages into the tree, and from pages to
the source. Links to other hosts must use https; nothing here needs a network.
"""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import readme
from book import BUILT, ROOT, SRC, pages

SOURCE = re.compile(r"https://github\.com/meigma/github-token-broker/(?:blob|tree)/master/([^#?]+)(?:#(.*))?$")
FRONT = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "terraform/README.md"]
TREES = ("broker/", "cli/", "bench/", "action/", "src/", "tests/", "sandbox/", "terraform/", "docs/", "packaging/", "fuzz/", ".github/", ".cargo/")


class Html(HTMLParser):
    """The links and anchors of a built page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("href", "src") and tag != "base":
                self.links.append(value)
            elif name == "id":
                self.anchors.add(value)


@cache
def html(path: Path) -> Html:
    return Html(path)


def built() -> list[Path]:
    # 404.html is served at any address, so its links start at the site's root.
    return sorted(path for path in BUILT.rglob("*.html") if path.name != "404.html")


@pytest.mark.parametrize("page", built(), ids=lambda path: str(path.relative_to(BUILT)))
def test_links_of_a_built_page_work(page):
    wrong = [link for link in html(page).links if not works(page, link)]
    assert not wrong, f"{page.relative_to(BUILT)} has broken links: {wrong}"


def works(page: Path, link: str) -> bool:
    parts = urlsplit(link)
    if found := SOURCE.match(link):
        path, anchor = ROOT / found[1], found[2]
        return path.exists() and (not anchor or (path.suffix == ".md" and anchor in anchors(path)))
    if parts.scheme or parts.netloc:
        return parts.scheme == "https"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not (target.is_relative_to(BUILT) and target.is_file()):
        return False
    return not parts.fragment or unquote(parts.fragment) in html(target).anchors


def markdown() -> list[Path]:
    return [ROOT / name for name in FRONT] + [SRC / page for page in pages()] + [SRC / "SUMMARY.md"]


@pytest.mark.parametrize("page", markdown(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_markdown_file_work(page):
    """As GitHub renders the file, without building the book."""
    wrong = []
    for number, line in enumerate(without_code(page.read_text()).splitlines(), 1):
        for link in re.findall(r"\]\(([^)\s]+)\)", line):
            parts = urlsplit(link.replace("\\_", "_"))  # terraform-docs escapes underscores
            if parts.scheme:
                good = works(page, link)
            else:
                target = (page.parent / parts.path).resolve() if parts.path else page
                good = target.exists() and (not parts.fragment or parts.fragment in anchors(target))
            if not good:
                wrong.append(f"{page.relative_to(ROOT)}:{number}: {link}")
    assert not wrong, "\n".join(wrong)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and mdBook derive from the headings of a Markdown file, and explicit ones."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a (?:id|name)="([^"]+)">', text))


def without_code(text: str) -> str:
    """The text with code blocks replaced by empty lines, so that line numbers stay the same."""
    return re.sub(r"^ *```.*?^ *```", lambda block: "\n" * block[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", markdown(), ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_on_a_page_exist(page):
    """A path such as `src/proof.rs` in a sentence must exist, unless it contains `...`."""
    wrong = []
    for number, line in enumerate(without_code(page.read_text()).splitlines(), 1):
        for path in re.findall(r"`([\w./-]+)`", line):
            if path.startswith(TREES) and "..." not in path and not (ROOT / path).exists():
                wrong.append(f"{page.relative_to(ROOT)}:{number}: {path}")
    assert not wrong, "\n".join(wrong)


def test_terraform_page_includes_both_tables():
    """mdBook does not report an include that finds nothing."""
    text = (BUILT / "reference" / "terraform.html").read_text()
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        missing = [name for name, _ in readme.blocks(file, kind) if f"<code>{name}</code>" not in text]
        assert not missing, f"docs/src/reference/terraform.md does not include {missing}"


def test_book_is_built():
    """There is one test for each built page, so without a built book none would fail."""
    assert len(built()) > len(pages()), "docs/book is missing or incomplete: run `make docs`"


def test_summary_lists_every_page():
    there = {str(path.relative_to(SRC)) for path in SRC.rglob("*.md")} - {"SUMMARY.md"}
    assert there == set(pages())


@pytest.mark.parametrize("link", ["nowhere.html", "errors.html#Nothing", "http://example.com/", "../../../broker/src/lib.rs"])
def test_broken_link_is_detected(link):
    assert not works(BUILT / "reference" / "errors.html", link)


def test_missing_source_is_detected():
    prefix = "https://github.com/meigma/github-token-broker/blob/master/"
    assert works(BUILT / "index.html", f"{prefix}broker/src/lib.rs")
    assert not works(BUILT / "index.html", f"{prefix}src/gone.rs")
    assert works(BUILT / "index.html", f"{prefix}README.md#deploy-it")
    assert not works(BUILT / "index.html", f"{prefix}CONTRIBUTING.md#to-add-a-word")
