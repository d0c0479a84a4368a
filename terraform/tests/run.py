"""Runs the Terraform tests: `make test-terraform`, and with SLOW=1 the ones that are marked as slow. The last lines are a summary for
each part and `N passed, N failed`.

`make` installs everything except Terraform or OpenTofu itself. If neither is there, this prints how to get one. With CI=true, that is a
failure; on a developer's machine it is not.
"""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
# The tests' own folders, which pytest keeps until the next run.
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", TESTS.parents[1] / "target")) / "tmp" / "terraform"

# What each test file covers, in the order of the summary.
PARTS = {
    "test_agreement": "the module agrees with the function, the pages and the examples",
    "test_mocks": "terraform test with mocks: inputs, grants, alarms, function",
    "test_lifecycle": "create, no drift, update, replace, take over, destroy",
    "test_artifact": "release, local and S3 zips; the pin",
    "test_bad_input": "bad input is rejected, nothing is half-created",
    "test_zip": "local zips: name, mode and processor at plan time",
    "test_deployer": "the deployer's policy, compared with recorded calls",
    "test_foreign_signatures": "the CloudTrail filter matches foreign signatures only",
    "test_tutorial": "the tutorial and two how-tos, run from their pages",
    "test_operator": "a new operator: setup, apply what it printed, check, clone, rotate",
}

# tests/run.py counts the lines that begin with `ok`.
OUTCOMES = {"passed": "ok     ", "failed": "FAILED ", "skipped": "skipped"}

MISSING = """Terraform: not run. Neither `terraform` nor `tofu` is on PATH (1.7 or newer, for the tests' mocks).
Install Terraform ("Install Terraform" on its vendor's site) or OpenTofu ("Installing OpenTofu" on opentofu.org), or name one:
TERRAFORM=/path/to/tofu make test-terraform
0 passed, {failed} failed"""


# The tests of these files share what the first of them created, so that one worker runs them in order.
IN_ORDER = ("test_tutorial", "test_foreign_signatures", "test_operator")


class Scheduler(LoadScopeScheduling):
    """Gives a worker one test at a time, or a file of `IN_ORDER`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return file if Path(file).stem in IN_ORDER else nodeid


class Summary:
    """Counts each test once, by its file, and prints it."""

    def __init__(self):
        self.counts = Counter()
        self.reasons = set()

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.failed or report.skipped:
            if report.skipped:
                self.reasons.add(report.longrepr[2].removeprefix("Skipped: "))
            print(f"{OUTCOMES[report.outcome]} {report.nodeid.removeprefix('terraform/tests/')}", flush=True)
            self.counts[Path(report.location[0]).stem, report.outcome] += 1

    def pytest_report_teststatus(self, report):
        counted = report.when == "call" or not report.passed
        return report.outcome if counted else "", "", ""  # `pytest_runtest_logreport` prints a line

    def pytest_xdist_make_scheduler(self, config, log):
        return Scheduler(config, log)

    def pytest_collectreport(self, report):
        if report.failed:
            self.counts[Path(report.nodeid or "collection").stem, "failed"] += 1

    def print(self) -> None:
        print("\nTerraform")
        for part in dict.fromkeys([*PARTS, *(part for part, _ in self.counts)]):
            by_outcome = {outcome: self.counts[part, outcome] for outcome in ("passed", "failed", "skipped")}
            shown = ", ".join(f"{count} {outcome}" for outcome, count in by_outcome.items() if count)
            print(f"  {PARTS.get(part, part)}: {shown or 'none'}")
        for reason in sorted(self.reasons):
            print(f"not run: {reason}")
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
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    chosen = "slow" if os.environ.get("SLOW") else "not slow"
    options = ["-q", "-p", "no:cacheprovider", "--show-capture=no", "-m", chosen, "--basetemp", str(FOLDER)]
    workers = ["--numprocesses", str(os.cpu_count()), "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    status = pytest.main([*options, *workers, str(TESTS), *sys.argv[1:]], [summary])
    summary.print()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
