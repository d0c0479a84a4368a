"""Fixtures of the Terraform tests."""

from pathlib import Path

import pytest

import rig

rig.clean_environment()


@pytest.fixture(scope="session")
def _moto():
    aws = rig.Aws()
    yield aws
    aws.stop()


@pytest.fixture
def aws(_moto):
    """An empty AWS account."""
    _moto.reset()
    return _moto


@pytest.fixture
def releases(tmp_path: Path) -> rig.Releases:
    return rig.Releases(tmp_path)


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: `make test-release` runs it, not `make test`")


@pytest.fixture(params=[*(pytest.param(version, marks=pytest.mark.slow) for version in rig.VERSIONS[:-1]), rig.VERSIONS[-1]])
def version(request) -> str:
    """Each version of the provider's schemas; the older one only in the slow tests."""
    return request.param


@pytest.fixture
def workspace(aws, releases, tmp_path):
    """Creates root modules, with the newest schemas by default: only the main path is tested with both versions."""

    def make(version: str = rig.VERSIONS[-1], name: str = "root", installed: bool = False, record: Path | None = None) -> rig.Workspace:
        return rig.Workspace(tmp_path / name, aws, version, releases, installed, record)

    return make
