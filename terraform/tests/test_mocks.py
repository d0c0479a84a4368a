"""`terraform test` on mocks of the provider: the *.tftest.hcl files next to this one, with each version's schemas."""

import re
import shutil

import pytest

import rig


def test_every_run_passes(workspace, version):
    if rig.tool_version() < (1, 7):
        pytest.skip(f"{rig.TOOL} is older than mock providers")
    root = workspace(version)
    shutil.copytree(
        rig.MODULE,
        root.folder,
        ignore=shutil.ignore_patterns("*.py", "provider", "examples", ".terraform*", "__pycache__"),
        dirs_exist_ok=True,
    )
    root.init()
    files = list((rig.MODULE / "tests").glob("*.tftest.hcl"))
    output = root.run("test")
    passed, failed = map(int, re.search(r"(\d+) passed, (\d+) failed", output).groups())
    print(f"{passed} runs passed, {failed} failed")
    assert (passed, failed) == (output.count("... pass\n") - len(files), 0), output
    assert passed == sum(path.read_text().count("\nrun ") for path in files)
