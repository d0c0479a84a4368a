"""Runs the Terraform tests: `make test-terraform`. Ends with a line for each part and `N passed, N failed`.

The one program that no package manager of ours brings is Terraform (or OpenTofu) itself. Without it this says how to get
it; that is a failure where CI=true, and told plainly, but no failure, on a developer's machine.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

MISSING = """terraform: not run: neither `terraform` nor `tofu` is on PATH (1.7 or newer for the tests' mocks).
terraform: get Terraform from HashiCorp's site (developer.hashicorp.com, "Install Terraform") or OpenTofu from
terraform: opentofu.org ("Install OpenTofu"), or name another one: TERRAFORM=/path/to/tofu make test-terraform
terraform: 0 passed, {failed} failed"""


def main() -> int:
    tool = next(filter(shutil.which, [os.environ.get("TERRAFORM", "terraform"), "tofu"]), None)
    if tool is None:
        in_ci = os.environ.get("CI") == "true"
        print(MISSING.format(failed=1 if in_ci else 0))
        return 1 if in_ci else 0
    os.environ["TERRAFORM"] = tool
    return pytest.main(["-q", "-p", "no:cacheprovider", str(Path(__file__).parent), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
