"""What the book's tests share: the import path, and a closing line from which `tests/run.py` reads the counts."""

import sys
from pathlib import Path

# The reader of pages and the stand-ins for programs come from the Terraform tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "terraform" / "tests"))

import rig  # noqa: E402

rig.clean_environment()


def pytest_terminal_summary(terminalreporter):
    counts = {outcome: len(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "error")}
    terminalreporter.write_line(f"\n{counts['passed']} passed, {counts['failed'] + counts['error']} failed")
