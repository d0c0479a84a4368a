"""Fixtures of the Terraform tests, and the summary at their end."""

from collections import Counter
from pathlib import Path

import pytest

import rig

# What each file of tests shows; the order of the summary.
PARTS = {
    "test_agreement": "module agrees with the binary, its README and its examples",
    "test_mocks": "terraform test on mocks (validations, grants, function), both schemas",
    "test_lifecycle": "create, no drift, update, replace, take over, destroy",
    "test_artifact": "release, zip and S3 artifacts",
    "test_bad_input": "bad input is refused, nothing half-created",
    "test_tutorial": "the tutorial and two how-tos, run from their pages",
}


@pytest.fixture(scope="session")
def _moto():
    aws = rig.Aws()
    yield aws
    aws.server.stop()


@pytest.fixture
def aws(_moto):
    """An empty AWS account."""
    _moto.reset()
    return _moto


@pytest.fixture
def releases(tmp_path: Path) -> rig.Releases:
    return rig.Releases(tmp_path)


@pytest.fixture(params=rig.VERSIONS)
def version(request) -> str:
    """Each version of the provider's schemas in turn."""
    return request.param


@pytest.fixture
def workspace(aws, releases, tmp_path):
    """Makes a root module; by default with the newest schemas, since two versions are for the main path."""

    made = []

    def make(version: str = rig.VERSIONS[-1], name: str = "root", installed: bool = False) -> rig.Workspace:
        made.append(rig.Workspace(tmp_path / name, aws, version, releases, installed))
        return made[-1]

    yield make
    for root in made:
        root.close()


def pytest_terminal_summary(terminalreporter):
    counts = Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            part = Path(report.location[0]).stem if hasattr(report, "location") else "collection"
            counts[part, "failed" if outcome == "error" else outcome] += 1
    write = terminalreporter.write_line
    write("")
    for part in dict.fromkeys([*PARTS, *(part for part, _ in counts)]):
        shown = ", ".join(
            f"{counts[part, outcome]} {outcome}" for outcome in ("passed", "failed", "skipped") if counts[part, outcome]
        )
        write(f"terraform: {PARTS.get(part, part)}: {shown or 'not run'}")
    total = Counter()
    for (_, outcome), count in counts.items():
        total[outcome] += count
    write(f"terraform: {total['passed']} passed, {total['failed']} failed")
