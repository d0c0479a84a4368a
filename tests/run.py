#!/usr/bin/env python3
"""Runs every suite of `make test`, and sums up what each counted.

In: nothing but the machine; CI=true makes a missing program a failure, except for the cross build. Out: the suites' own
output, then a line for each suite and for the budget, and status 0 only if all of them passed and none counted nothing.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import time

CARGO_TEST = ["cargo", "test", "--locked", "--no-fail-fast"]
BROKER = [*CARGO_TEST, "--package", "broker"]

TERRAFORM = "install Terraform or OpenTofu 1.6 or newer, from its vendor's download page or your package manager"
CROSS_TOOLS = "a smoke test, for a Debian x86_64 machine; `make cross-tools` installs what it needs"

# Name, what it runs, and, where it needs a program that not every machine has: which (one of them will do), and how to get it.
SUITES = [
    ("pure logic and properties", [*BROKER, "--lib"], None),
    ("types that do not compile", [*BROKER, "--doc"], None),
    ("code, docs and Terraform agree", [*BROKER, "--test", "contract", "--test", "project"], None),
    ("the build leaves jitter entropy out", [*BROKER, "--test", "entropy"], None),
    ("fuzz corpora replayed", [*BROKER, "--test", "corpora"], None),
    ("the sandbox itself", [*CARGO_TEST, "--package", "sandbox"], None),
    ("black box, on the sandbox", [*BROKER, "--test", "blackbox"], None),
    ("the bench, in its short form", ["make", "bench", "SHORT=1"], None),
    ("black box, with moto and the AWS CLI", [*BROKER, "--test", "moto"], None),
    ("packages, and a release's own steps", ["make", "test-package"], None),
    ("the same bytes from two folders", ["make", "test-reproducible"], None),
    ("the book, its commands, a browser", ["make", "test-docs"], None),
    ("Terraform module and tutorial", ["make", "test-terraform"], (("terraform", "tofu"), TERRAFORM)),
]
if platform.machine() == "x86_64":
    SUITES.append(("arm64: cross build, under qemu", ["make", "test-package", "ARCH=arm64"], (("aarch64-linux-gnu-gcc",), CROSS_TOOLS)))

COUNTS = [
    re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed"),
    re.compile(r"^(?P<passed>\d+) passed, (?P<failed>\d+) failed"),
]


def run(command: list[str], budget: list[str]) -> tuple[int, int, int]:
    """The command's status, and how many of its tests passed and failed; what it said of the budget is added to `budget`."""
    passed = failed = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            for count in COUNTS:
                if found := count.match(line):
                    passed += int(found["passed"])
                    failed += int(found["failed"])
            if (at := line.find("budget: ")) >= 0:
                budget.append(line[at:].rstrip())
    return process.returncode, passed, failed


def print_fault_matrix() -> None:
    path = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "tmp", "fault-matrix.md")
    if os.path.exists(path):
        print(f"\nThe fault matrix, as it was found ({path}):\n")
        with open(path, encoding="utf-8") as table:
            print(table.read())


def main() -> int:
    lines, budget = [], []
    ok = True
    for name, command, needed in SUITES:
        if needed and not any(map(shutil.which, needed[0])):
            lines.append(f"  {name:38} not run: {needed[1]}")
            ok = ok and (os.environ.get("CI") != "true" or needed[1] is CROSS_TOOLS)
            continue
        print(f"\n=== {name}: {' '.join(command)}", flush=True)
        began = time.monotonic()
        status, passed, failed = run(command, budget)
        good = status == 0 and failed == 0 and passed > 0
        ok = ok and good
        verdict = "ok" if good else "FAILED"
        lines.append(f"  {name:38} {verdict:7} {passed:4} passed, {failed} failed ({time.monotonic() - began:.0f} s)")
    print_fault_matrix()
    print("Summary", *lines, *(f"  {line}" for line in budget), sep="\n")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
