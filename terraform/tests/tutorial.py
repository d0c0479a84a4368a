"""Follows a page of the book: runs its `sh` blocks, and compares its `text` and `json` blocks with the output. The commands are only on
the page, not here.

Input: a page, a folder, an environment. Output: what the commands printed, or an AssertionError that quotes the page.
Two things on a page are not taken literally: `/tmp/` becomes the test's own folder, and the test types `yes` for Terraform's prompt. `...`,
a token of x's and a date match values that differ between runs. A block below the line `MARK` needs AWS or GitHub itself and is skipped.
`RAN` lists the blocks that were run.
"""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BOOK = Path(__file__).resolve().parents[2] / "docs" / "src"
FENCE = re.compile(r"^([ \t]*)```(\w+)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
MARK = "*Needs a real account; no test runs it.*"
RAN = set()
LIMIT = 600  # seconds after which a command that does not end is a failure, even on a loaded machine


@contextmanager
def limited(end: Callable[[], None]) -> Iterator[None]:
    """Adds a timeout to a wait that has none: calls `end`, which must end the process, if it takes too long."""
    timer = threading.Timer(LIMIT, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end_all(leader: subprocess.Popen, how: signal.Signals = signal.SIGKILL) -> None:
    """Ends a process that leads its own session, and every process that it started."""
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, how)


@dataclass
class Block:
    """A fenced block: its language, its text without a list's indentation, the heading above it, its file and line, and whether it is
    marked as one that no test runs."""

    language: str
    text: str
    heading: str
    where: str
    marked: bool


@dataclass
class Page:
    """A page of the book."""

    name: str
    blocks: list[Block] = field(init=False)

    def __post_init__(self):
        text = (BOOK / self.name).read_text()
        self.blocks = []
        for match in FENCE.finditer(text):
            indent, language, body = match.groups()
            before = text[: match.start()]
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", before), re.MULTILINE)
            lines = [line.removeprefix(indent) for line in body.splitlines(keepends=True)]
            where = f"docs/src/{self.name}:{before.count(chr(10)) + 1}"
            self.blocks.append(Block(language, "".join(lines), headings[-1], where, before.rstrip().endswith(MARK)))

    def under(self, heading: str = "") -> list[Block]:
        """The blocks under headings that start with this text."""
        found = [block for block in self.blocks if block.heading.startswith(heading)]
        assert found, f"{self.name} has no blocks under {heading!r}"
        return found


@dataclass
class Reader:
    """A reader at a terminal who follows pages, in one folder, with one environment."""

    folder: Path
    environment: dict

    @property
    def scratch(self) -> Path:
        """The folder that replaces `/tmp` on a page."""
        return self.folder.with_name(f"{self.folder.name}.tmp")

    def follow(self, page: Page, heading: str = "") -> str:
        """Runs and compares the page's blocks under a heading in order; returns everything that was printed."""
        printed, everything = None, ""
        for block in page.under(heading):
            if block.language == "sh":
                printed = None if block.marked else self.run(block.text, block.where)
                everything += printed or ""
            elif printed is not None and block.language == "text":
                assert_printed(block.text, printed, block.where)
            elif printed is not None and block.language == "json":
                assert_like(json.loads(block.text), last_json(printed, block.where), block.where)
        return everything

    def run(self, commands: str, where: str = "") -> str:
        """Runs one block with bash, which stops at the first failure."""
        RAN.add(where)
        commands = commands.replace("/tmp/", f"{self.scratch}/")
        self.scratch.mkdir(exist_ok=True)
        with subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that the processes it started end with it
        ) as finished:
            with limited(lambda: end_all(finished)):
                try:
                    printed, _ = finished.communicate("yes\n")
                except BaseException:
                    end_all(finished)
                    raise
        printed = re.sub(r"\x1b\[[0-9;]*m", "", printed)
        left = "\n".join(f"{path.name}: {path.read_text()}" for path in self.scratch.iterdir())
        assert finished.returncode == 0, f"{where}: exit code {finished.returncode}\n{commands}\n{printed}\n{left}"
        return printed


def assert_printed(expected: str, printed: str, where: str) -> None:
    """Asserts that every line of the page was printed, in that order; `...` matches anything."""
    position = 0
    for line in filter(None, map(str.strip, expected.splitlines())):
        pattern = re.escape(line).replace(re.escape("..."), ".*")
        found = re.compile(rf"^\s*{pattern}\s*$", re.MULTILINE).search(printed, position)
        assert found, f"{where}: the page has {line!r}, but the output is\n{printed}"
        position = found.end()


def last_json(printed: str, where: str) -> object:
    """The last JSON object of an output that can contain several."""
    found, start = None, printed.find("{")
    while start >= 0:
        try:
            found, length = json.JSONDecoder().raw_decode(printed[start:])
        except ValueError:
            length = 1
        start = printed.find("{", start + length)
    assert found is not None, f"{where}: no JSON was printed\n{printed}"
    return found


def assert_like(expected: object, actual: object, where: str) -> None:
    """Asserts that the JSON is the same; a token of x's matches any token, a date any date to the second in UTC."""
    if isinstance(expected, dict):
        assert isinstance(actual, dict) and list(actual) == list(expected), f"{where}: {expected} is not {actual}"
        for key, value in expected.items():
            assert_like(value, actual[key], f"{where}, {key}")
        return
    if isinstance(expected, str) and "xxx" in expected:
        pattern = re.escape(expected[: expected.index("xxx")]) + r"\w+"
    elif isinstance(expected, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+Z", expected):
        pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    else:
        assert actual == expected, f"{where}: {expected!r} is not {actual!r}"
        return
    assert isinstance(actual, str) and re.match(pattern, actual), f"{where}: {expected!r} is not like {actual!r}"
