"""An mdBook preprocessor that ends each page with a footer: source, version, date, security contact and license.

Input: the book as JSON on standard input (https://rust-lang.github.io/mdBook/for_developers/preprocessors.html).
Output: the same book, with the footer appended to each page.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = (ROOT / "Cargo.toml").read_text()


def manifest(field: str) -> str:
    """A string field of the workspace manifest."""
    return re.search(rf'^{field} = "(.*)"$', MANIFEST, re.MULTILINE)[1]


def last_change(path: str) -> str:
    """The date of a page's last commit; empty outside a git checkout and for a page without a commit."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%cs", "--", f"docs/src/{path}"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def footer(path: str) -> str:
    repository, version = manifest("repository"), manifest("version")
    links = [
        f'<a href="{repository}/blob/master/docs/src/{path}">Source of this page</a>',
        f'<a href="{repository}">Repository</a>',
        f'<a href="{repository}/blob/master/SECURITY.md">Report a vulnerability</a>',
        f'<a href="{repository}/blob/master/LICENSE-MIT">MIT</a> or '
        f'<a href="{repository}/blob/master/LICENSE-APACHE">Apache-2.0</a>',
    ]
    date = last_change(path)
    facts = [f"Version {version}, not released"] + ([f"page last changed {date}"] if date else [])
    return f'\n\n<footer class="page-footer"><p>{" · ".join(links)}</p><p>{", ".join(facts)}</p></footer>\n'


def add_footers(items: list) -> None:
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            if chapter["path"]:
                chapter["content"] += footer(chapter["path"])
            add_footers(chapter["sub_items"])


def main() -> None:
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0 if sys.argv[2] == "html" else 1)
    _, book = json.load(sys.stdin)
    add_footers(book.get("items") or book.get("sections"))
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
