"""Runs the Terraform tests: `make test-terraform`. Ends with a line for each part and `N passed, N failed`.

The one program that no package manager of ours brings is Terraform (or OpenTofu) itself. Without it this says how to get
it; that is a failure where CI=true, and told plainly, but no failure, on a developer's machine.
"""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

# What each file of tests shows; the order of the summary.
PARTS = {
    "test_agreement": "module agrees with the binary, its README and its examples",
    "test_mocks": "terraform test on mocks (validations, grants, function), both schemas",
    "test_lifecycle": "create, no drift, update, replace, take over, destroy",
    "test_artifact": "release, zip and S3 artifacts",
    "test_bad_input": "bad input is refused, nothing half-created",
    "test_tutorial": "the tutorial and two how-tos, run from their pages",
}

MISSING = """Terraform: not run, neither `terraform` nor `tofu` is on PATH (1.7 or newer, for the tests' mocks).
Get Terraform from its maker's page "Install Terraform" or OpenTofu from opentofu.org, "Installing OpenTofu", or name one:
TERRAFORM=/path/to/tofu make test-terraform
0 passed, {failed} failed"""


class Summary:
    """Counts each test once, by the file that it stands in."""

    def __init__(self):
        self.counts = Counter()

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.failed or report.skipped:
            self.counts[Path(report.location[0]).stem, report.outcome] += 1

    def pytest_collectreport(self, report):
        if report.failed:
            self.counts[Path(report.nodeid or "collection").stem, "failed"] += 1

    def print(self) -> None:
        print("\nTerraform")
        for part in dict.fromkeys([*PARTS, *(part for part, _ in self.counts)]):
            by_outcome = {outcome: self.counts[part, outcome] for outcome in ("passed", "failed", "skipped")}
            shown = ", ".join(f"{count} {outcome}" for outcome, count in by_outcome.items() if count)
            print(f"  {PARTS.get(part, part)}: {shown or 'not run'}")
        passed, failed = (sum(n for (_, o), n in self.counts.items() if o == outcome) for outcome in ("passed", "failed"))
        print(f"{passed} passed, {failed} failed")


def main() -> int:
    tool = next(filter(shutil.which, [os.environ.get("TERRAFORM", "terraform"), "tofu"]), None)
    if tool is None:
        in_ci = os.environ.get("CI") == "true"
        print(MISSING.format(failed=1 if in_ci else 0))
        return 1 if in_ci else 0
    os.environ["TERRAFORM"] = tool
    summary = Summary()
    status = pytest.main(["-q", "-p", "no:cacheprovider", "--show-capture=no", str(TESTS), *sys.argv[1:]], [summary])
    summary.print()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
