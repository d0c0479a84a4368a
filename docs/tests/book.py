"""The book as files: its pages in their order, and where they are built.

Input: docs/src and docs/book. Output: what the tests next to this file compare with the code, run, or open in a browser.
"""

import re
from pathlib import Path

from tutorial import Page

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "docs" / "src"
BUILT = ROOT / "docs" / "book"

LANGUAGES = ("sh", "hcl", "json", "mermaid", "text", "yaml")


def pages() -> list[str]:
    """The pages that SUMMARY.md lists, in its order."""
    return re.findall(r"\]\(([^)]+\.md)\)", (SRC / "SUMMARY.md").read_text())


def blocks(page: str, *languages: str) -> list:
    """The code blocks of a page in these languages."""
    return [block for block in Page(page).blocks if block.language in languages]
