#!/usr/bin/env python3
"""Runs the suites of `make test` or `make test-release`, and prints a summary.

Input: the name of a set of suites. With CI=true, a missing program is a failure, except for the arm64 cross build. Output:
the progress of each suite, the whole output of a suite that fails, then one line for each suite, the slowest first, and
`N passed, N failed`. The status is 0 only if each suite passed and ran at least one test.
"""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field

CARGO_TEST = ["cargo", "test", "--locked", "--workspace", "--no-fail-fast"]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))

TERRAFORM = "install Terraform or OpenTofu 1.6 or newer"
CROSS_TOOLS = "on a Debian x86_64 machine, `make cross-tools` installs what it needs"


@dataclass
class Suite:
    name: str
    command: list[str]
    # One of these programs is needed; `remedy` says how to get it.
    programs: tuple[str, ...] = ()
    remedy: str = ""
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    verdict: str = "not run"
    budget: list[str] = field(default_factory=list)


PRODUCT = [
    Suite("pure logic and properties", [*CARGO_TEST, "--lib", "--bins"]),
    Suite("types that must not compile", ["cargo", "test", "--locked", "--package", "broker", "--doc"]),
    Suite("code, docs and Terraform agree", [*CARGO_TEST, "--test", "contract", "--test", "entropy"]),
    Suite("fuzz corpora", [*CARGO_TEST, "--test", "corpora"]),
    Suite("black box, in the sandbox", [*CARGO_TEST, "--test", "blackbox"]),
    Suite("the sandbox", [*CARGO_TEST, "--test", "all"]),
    Suite("the client, with real git", [*CARGO_TEST, "--test", "client"]),
    Suite("black box, with moto and the AWS CLI", [*CARGO_TEST, "--test", "moto"]),
    Suite("sandbox, vendors' clients and models", ["make", "test-fidelity"]),
    Suite("bench, short form", ["make", "bench", "SHORT=1"]),
    Suite("Terraform module and tutorial", ["make", "test-terraform"], ("terraform", "tofu"), TERRAFORM),
]
RELEASE = [
    Suite("packages, and the steps of a release", ["make", "test-package"]),
    Suite("packages of the client", ["make", "test-package-client"]),
    Suite("reproducible builds", ["make", "test-reproducible"]),
]
if platform.machine() == "x86_64":
    CLIENT = ["make", "test-package-client", "TARGET=aarch64-unknown-linux-gnu"]
    RELEASE.append(Suite("arm64: cross build, under qemu", ["make", "test-package", "ARCH=arm64"], ("aarch64-linux-gnu-gcc",), CROSS_TOOLS))
    RELEASE.append(Suite("arm64: the client, under qemu", CLIENT, ("aarch64-linux-gnu-gcc",), CROSS_TOOLS))

COUNTS = [
    re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed"),
    re.compile(r"^(?P<passed>\d+) passed, (?P<failed>\d+) failed"),
]
# One finished test, in the words of cargo's test harness and of our own scripts.
FINISHED = re.compile(r"^(test \S.* \.\.\. ok|ok     )")
# Without a terminal, a line this often shows that a suite still runs.
HEARTBEAT_SECONDS = 30


def run(suite: Suite, log: pathlib.Path) -> None:
    """Runs a suite with its output in `log`, shows its progress, and fills in what it counted."""
    began, shown, finished = time.monotonic(), time.monotonic(), 0
    with log.open("w", encoding="utf-8") as output, subprocess.Popen(
        suite.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout:
            output.write(line)
            finished += bool(FINISHED.match(line))
            for count in COUNTS:
                if found := count.match(line):
                    suite.passed += int(found["passed"])
                    suite.failed += int(found["failed"])
            if (at := line.find("budget: ")) >= 0:
                suite.budget.append(line[at:].rstrip())
            now = time.monotonic()
            if sys.stdout.isatty() or now - shown > HEARTBEAT_SECONDS:
                shown = now
                text = f"    {now - began:4.0f} s, {finished} tests: {line.strip()[:80]}"
                print(f"\r\x1b[K{text}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)
    if sys.stdout.isatty():
        print("\r\x1b[K", end="")
    suite.seconds = time.monotonic() - began
    if process.returncode and not suite.failed:
        suite.failed = 1  # it ended before it could count: a build error, for example
    suite.verdict = "ok" if suite.passed and not suite.failed else "FAILED"
    print(f"    {suite.verdict}: {suite.passed} passed, {suite.failed} failed in {suite.seconds:.0f} s", flush=True)
    if suite.verdict == "FAILED":
        print(log.read_text(encoding="utf-8"), flush=True)


def main() -> int:
    suites = {"product": PRODUCT, "release": RELEASE}[sys.argv[1]]
    logs = TARGET.absolute() / "test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    # The sandbox writes its exchanges there, for the suite that compares them with the vendors' models.
    exchanges = TARGET.absolute() / "exchanges.jsonl"
    exchanges.unlink(missing_ok=True)
    os.environ |= {"SANDBOX_EXCHANGES": str(exchanges), "PATH": f"{TARGET.absolute() / 'venv' / 'bin'}:{os.environ['PATH']}"}
    if sys.argv[1] == "product":
        began = time.monotonic()
        print("Compiling all tests, once for all suites", flush=True)
        if subprocess.run([*CARGO_TEST, "--no-run"]).returncode:
            return 1
        print(f"    compiled in {time.monotonic() - began:.0f} s", flush=True)
    for number, suite in enumerate(suites, 1):
        print(f"[{number}/{len(suites)}] {suite.name}: {' '.join(suite.command)}", flush=True)
        if not suite.programs or any(map(shutil.which, suite.programs)):
            run(suite, logs / f"{sys.argv[1]}-{number}.log")
            continue
        print(f"    not run: {suite.remedy}", flush=True)
        if os.environ.get("CI") == "true" and suite.remedy is not CROSS_TOOLS:
            suite.failed, suite.verdict = 1, "FAILED"

    print(f"\nSuites, slowest first (their output is in {logs}):")
    for suite in sorted(suites, key=lambda suite: -suite.seconds):
        what = suite.remedy if suite.verdict == "not run" else f"{suite.passed:4} passed, {suite.failed} failed"
        print(f"  {suite.seconds:4.0f} s  {suite.verdict:7}  {suite.name:38} {what}")
    for line in (line for suite in suites for line in suite.budget):
        print(f"  {line}")
    matrix = TARGET / "tmp" / "fault-matrix.md"
    if sys.argv[1] == "product" and matrix.exists():
        print(f"  fault matrix, as found: {matrix}")
    passed, failed = sum(suite.passed for suite in suites), sum(suite.failed for suite in suites)
    failed += sum(suite.verdict == "FAILED" and not suite.failed for suite in suites)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
