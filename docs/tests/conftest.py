"""What the book's tests share: the import path, and the closing lines that `tests/run.py` reads: what was not run, and the counts."""

import sys
from pathlib import Path

# The reader of pages and the stand-ins for programs come from the Terraform tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "terraform" / "tests"))

import rig  # noqa: E402

rig.clean_environment()


def pytest_terminal_summary(terminalreporter):
    counts = {outcome: len(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "error")}
    for reason in sorted({report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])}):
        terminalreporter.write_line(f"\nnot run: {reason}")
    terminalreporter.write_line(f"\n{counts['passed']} passed, {counts['failed'] + counts['error']} failed")
