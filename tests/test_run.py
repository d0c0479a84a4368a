#!/usr/bin/env python3
"""Checks that tests/run.py notices what a suite must not do, in `make check`."""

import os
import pathlib
import sys
import tempfile
from unittest import mock

import run

CLEAN = "echo '3 passed, 0 failed'"
# Each is a suite that ends with a success.
BAD = {
    "no test ran": "echo '0 passed, 0 failed'",
    "it failed after it counted": f"{CLEAN}; exit 1",
    "a temporary file is left": f"touch $TMPDIR/file; {CLEAN}",
    "a file in a folder at home is left": f"mkdir $HOME/.cache; touch $HOME/.cache/file; {CLEAN}",
    "a process is left": f"sleep 600 >/dev/null 2>&1 & {CLEAN}",
    "a process without variables is left": f"env -i /bin/sleep 600 >/dev/null 2>&1 & {CLEAN}",
    "a process in a session of its own is left": f"setsid sleep 600 >/dev/null 2>&1 & {CLEAN}",
}


def verdict(command: str) -> run.Suite:
    suite = run.Suite("suite", ["sh", "-c", command])
    with tempfile.TemporaryDirectory() as folder:
        run.run(suite, pathlib.Path(folder, "log"))
    return suite


def main() -> int:
    run.GRACE_SECONDS = 0.3
    errors = []
    with mock.patch.dict(os.environ, {"CI": "true"}), mock.patch.object(run.PROGRESS, "print"):
        clean = verdict(f"echo 'not run: gh: install it'; {CLEAN}")
        if (clean.verdict, clean.passed, clean.repeated) != ("ok", 3, ["not run: gh: install it"]):
            errors.append(f"a clean suite is not accepted: {clean}")
        errors += [f"not noticed: {what}" for what, command in BAD.items() if verdict(command).verdict == "ok"]
    print(*errors, sep="\n", end="\n" if errors else "")
    print(f"test_run: {len(BAD) + 1} suites, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
