#!/usr/bin/env python3
"""Runs the suites of `make test`, `make test-release` or `make test-book`, and prints a summary.

Input: the name of a set of suites. With CI=true, a missing program is a failure, except for the arm64 cross build, and each suite has an
empty home folder. Output: the progress of each suite, the whole output of a suite that fails, then one line for each suite, the slowest
first, what was not run, and `N passed, N failed`. The status is 0 only if each suite passed, ran at least one test, and left no process,
no temporary file and nothing in its home folder behind. Suites run in two lanes at once: many tests wait for a timeout or a backoff, and
others need the CPU.
"""

import contextlib
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

CARGO_TEST = ["cargo", "test", "--locked", "--workspace", "--no-fail-fast"]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))

# Most of these tests wait for the sandbox's faults, so that many of them can run at once.
WAITING = ["--", "--test-threads", str(max(8, 4 * (os.cpu_count() or 1)))]

TERRAFORM = "install Terraform or OpenTofu 1.6 or newer"
CROSS_TOOLS = "on a Debian x86_64 machine, `make cross-tools` installs what it needs"


@dataclass
class Suite:
    name: str
    command: list[str]
    # One of these programs is needed; `remedy` says how to get it.
    programs: tuple[str, ...] = ()
    remedy: str = ""
    # The suites of one lane run one after another.
    lane: int = 1
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    verdict: str = "not run"
    # Lines of its output that the summary repeats.
    repeated: list[str] = field(default_factory=list)


PRODUCT = [
    Suite("pure logic and properties", [*CARGO_TEST, "--lib", "--bins"]),
    Suite("types that must not compile", [*CARGO_TEST, "--doc"]),
    Suite("code, docs and Terraform agree", [*CARGO_TEST, "--test", "contract", "--test", "entropy"]),
    Suite("fuzz corpora", [*CARGO_TEST, "--test", "corpora"]),
    Suite("black box, in the sandbox", [*CARGO_TEST, "--test", "blackbox", *WAITING]),
    Suite("the sandbox", [*CARGO_TEST, "--test", "all"]),
    Suite("the client, with real git", [*CARGO_TEST, "--test", "client", *WAITING]),
    Suite("black box, with moto and the AWS CLI", [*CARGO_TEST, "--test", "moto"]),
    Suite("sandbox, vendors' clients and models", ["make", "test-fidelity"]),
    Suite("bench, short form", ["make", "bench", "SHORT=1"]),
    Suite("Terraform module and tutorial", ["make", "test-terraform"], ("terraform", "tofu"), TERRAFORM, lane=2),
]
RELEASE = [
    # The first two are in one lane, because both write to dist/ and its checksums.
    Suite("packages, and the steps of a release", ["make", "test-package"]),
    Suite("packages of the client", ["make", "test-package-client"]),
    Suite("Terraform module, slower tests", ["make", "test-terraform", "SLOW=1"], ("terraform", "tofu"), TERRAFORM),
    # It takes as long as all others, and its last step of each build uses one core.
    Suite("reproducible builds", ["make", "test-reproducible"], lane=2),
]
if platform.machine() == "x86_64":
    CLIENT = ["make", "test-package-client", "TARGET=aarch64-unknown-linux-gnu"]
    RELEASE.append(Suite("arm64: cross build, under qemu", ["make", "test-package", "ARCH=arm64"], ("aarch64-linux-gnu-gcc",), CROSS_TOOLS))
    RELEASE.append(Suite("arm64: the client, under qemu", CLIENT, ("aarch64-linux-gnu-gcc",), CROSS_TOOLS))

BOOK = [Suite("the book: links, commands, browser", ["make", "test-pages"])]

COUNTS = [
    re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed"),
    re.compile(r"^(?P<passed>\d+) passed, (?P<failed>\d+) failed"),
]
# One finished test, in the words of cargo's test harness and of our own scripts.
FINISHED = re.compile(r"^(test \S.* \.\.\. ok|ok     )")
# Sizes next to their limits, and what a suite did not run.
REPEATED = re.compile(r"budget: .*|(?<!\S)not run: .*")
# Without a terminal, a line this often shows that a suite still runs.
HEARTBEAT_SECONDS = 30
# How long a process that was just killed may take to end.
GRACE_SECONDS = 5.0

# What build tools and language runtimes keep in the home folder, by the variable that names another place. They are the same in each suite.
KEPT_AT_HOME = {
    "CARGO_HOME": ".cargo",
    "RUSTUP_HOME": ".rustup",
    "PYENV_ROOT": ".pyenv",
    "PIP_CACHE_DIR": ".cache/pip",
    "NPM_CONFIG_CACHE": ".npm",
}


class Progress:
    """One line at the bottom of a terminal, or a line now and then without one."""

    def __init__(self):
        self.lock, self.running, self.shown = threading.Lock(), {}, {}

    def print(self, text: str) -> None:
        with self.lock:
            print(f"\r\x1b[K{text}" if sys.stdout.isatty() else text, flush=True)

    def update(self, suite: Suite, seconds: float, finished: int, line: str) -> None:
        with self.lock:
            self.running[suite.lane] = f"{suite.name}: {seconds:.0f} s, {finished} tests"
            if sys.stdout.isatty():
                print(f"\r\x1b[K    {' | '.join(self.running.values())}"[: shutil.get_terminal_size().columns], end="", flush=True)
            elif seconds - self.shown.get(suite.name, 0) > HEARTBEAT_SECONDS:
                self.shown[suite.name] = seconds
                print(f"    {self.running[suite.lane]}: {line.strip()[:80]}", flush=True)


PROGRESS = Progress()
INTERRUPTED = threading.Event()
# The running suites, by lane.
RUNNING: dict[int, subprocess.Popen] = {}


def run(suite: Suite, log: pathlib.Path) -> None:
    """Runs a suite with its output in `log`, shows its progress, and fills in what it counted."""
    began, finished = time.monotonic(), 0
    folder = tempfile.mkdtemp(prefix="suite-")
    with log.open("w", encoding="utf-8") as output, subprocess.Popen(
        suite.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment(folder),
        start_new_session=True,  # its processes can be found by their session
    ) as process:
        RUNNING[suite.lane] = process
        for line in process.stdout:
            output.write(line)
            finished += bool(FINISHED.match(line))
            for count in COUNTS:
                if found := count.match(line):
                    suite.passed += int(found["passed"])
                    suite.failed += int(found["failed"])
            suite.repeated += REPEATED.findall(line)
            PROGRESS.update(suite, time.monotonic() - began, finished, line)
    del RUNNING[suite.lane]
    suite.seconds = time.monotonic() - began
    left = left_behind(process.pid, folder)
    shutil.rmtree(folder, ignore_errors=True)
    if left or (process.returncode and not suite.failed):
        suite.failed += 1  # it ended before it could count (a build error, for example), or it did not clean up
    suite.verdict = "ok" if suite.passed and not suite.failed else "FAILED"
    PROGRESS.print(f"    {suite.verdict}: {suite.name}: {suite.passed} passed, {suite.failed} failed in {suite.seconds:.0f} s")
    if suite.verdict == "FAILED":
        PROGRESS.print("\n".join([log.read_text(encoding="utf-8"), *(f"{suite.name} left this behind: {what}" for what in left)]))


def environment(folder: str) -> dict[str, str]:
    """A developer's own tools may need the real home folder, so that only CI has an empty one."""
    variables = os.environ | {"TMPDIR": folder}
    if os.environ.get("CI") == "true":
        home = pathlib.Path(folder, "home")
        home.mkdir()
        variables = {name: value for name, value in variables.items() if not name.startswith("XDG_")} | {"HOME": str(home)}
        for name, place in KEPT_AT_HOME.items():
            variables.setdefault(name, str(pathlib.Path.home() / place))
    return variables


def left_behind(session: int, folder: str) -> list[str]:
    """The files in a suite's temporary folder and in its home folder, and its processes, which this ends."""
    until = time.monotonic() + GRACE_SECONDS
    while (processes := started_by(session, folder)) and time.monotonic() < until:
        time.sleep(0.1)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    home = pathlib.Path(folder, "home")
    files = [path for path in [*pathlib.Path(folder).iterdir(), *home.glob("*")] if path != home]
    return sorted(map(str, files)) + [f"process {process}: {command}" for process, command in processes.items()]


def started_by(session: int, folder: str) -> dict[int, str]:
    """The living processes of a session, and those that inherited the folder's name and began a session of their own."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # After the name of the program: state, parent, process group, session.
            state, _, _, its_session = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
            inherited = f"TMPDIR={folder}".encode() in (process / "environ").read_bytes().split(b"\0")
            if state != "Z" and (int(its_session) == session or inherited):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def run_lane(suites: list[tuple[Suite, pathlib.Path]]) -> None:
    for suite, log in suites:
        if INTERRUPTED.is_set():
            return
        PROGRESS.print(f"{suite.name}: {' '.join(suite.command)}")
        if not suite.programs or any(map(shutil.which, suite.programs)):
            run(suite, log)
            continue
        PROGRESS.print(f"    not run: {suite.remedy}")
        if os.environ.get("CI") == "true" and suite.remedy is not CROSS_TOOLS:
            suite.failed, suite.verdict = 1, "FAILED"


def main() -> int:
    # A shell lets its background jobs ignore the first two, and `nohup` the third. The tests of the client's signals would then wait forever:
    # programs that a suite starts inherit what is ignored, but not a handler.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # The suites have sessions of their own, so that they do not notice what ends this process.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    suites = {"product": PRODUCT, "release": RELEASE, "book": BOOK}[sys.argv[1]]
    logs = TARGET.absolute() / "test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    # The sandbox writes its exchanges there, for the suite that compares them with the vendors' models.
    exchanges = TARGET.absolute() / "exchanges.jsonl"
    exchanges.unlink(missing_ok=True)
    os.environ |= {"SANDBOX_EXCHANGES": str(exchanges), "PATH": f"{TARGET.absolute() / 'venv' / 'bin'}:{os.environ['PATH']}"}
    logged = [(suite, logs / f"{sys.argv[1]}-{number}.log") for number, suite in enumerate(suites, 1)]
    lanes = [threading.Thread(target=run_lane, args=([one for one in logged if one[0].lane == lane],)) for lane in (1, 2)]
    for lane in lanes:
        lane.start()
    try:
        for lane in lanes:
            lane.join()
    except KeyboardInterrupt:  # Ctrl-C ends the running suites too
        INTERRUPTED.set()
        for process in list(RUNNING.values()):
            os.killpg(process.pid, signal.SIGINT)
        raise

    print(f"\nSuites, slowest first (their output is in {logs}):")
    for suite in sorted(suites, key=lambda suite: -suite.seconds):
        what = suite.remedy if suite.verdict == "not run" else f"{suite.passed:4} passed, {suite.failed} failed"
        print(f"  {suite.seconds:4.0f} s  {suite.verdict:7}  {suite.name:38} {what}")
    for line in dict.fromkeys(line for suite in suites for line in suite.repeated):
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
