"""The errors page has one section for each error type, and each section has the same four parts.

Error messages end with a link to a section, so a missing one is a dead end for a reader in the middle of an incident.
"""

import re

import pytest

from book import SRC

TEXT = (SRC / "reference" / "errors.md").read_text()
TABLE = TEXT.split("<!-- error types -->")[1].split("<!-- /error types -->")[0]
TYPES = re.findall(r"`([A-Z]\w+)`\S* \|", TABLE)
SECTIONS = dict(re.findall(r"^### ([A-Z][A-Za-z]+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
PARTS = ("Cause", "Check", "Remedy", "Terraform input")


def test_table_was_found():
    assert len(TYPES) > 30


def test_each_error_type_has_a_section():
    assert [name for name in TYPES if name not in SECTIONS] == []


def test_each_section_is_an_error_type():
    assert [name for name in SECTIONS if name not in TYPES] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_section_has_all_parts(name):
    assert tuple(re.findall(r"^- \*\*(.*?):\*\* \S", SECTIONS[name], re.MULTILINE)) == PARTS
