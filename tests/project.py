#!/usr/bin/env python3
"""Checks facts about the project that more than one file states, in `make check`.

The workspace manifest has the version and the repository; every other mention must agree. The steps of the workflows are make
targets that also run before there is a tag. The function's dependency tree stays within packaging/budget.toml.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
VERSION, REPOSITORY = PACKAGE["version"], PACKAGE["repository"].removeprefix("https://github.com/")

# What stands before a version of ours. Placeholders such as vX.Y.Z do not match.
VERSIONS = re.compile(
    r"(?:(?<!your-repo)\?ref=|release_version = \"|/releases/download/|/releases/tag/|/blob/|gh release download |refs/tags/|git checkout )v(\d+\.\d+\.\d+)"
)
# An owner before our repository's name. Paths, log groups and file names have none.
REPOSITORIES = re.compile(rf"(?:github\.com[/:]|--repo |default += \")([\w-]+/{REPOSITORY.split('/')[1]})(?![\w-]|\.\w|/)")
# Only GitHub's runners run these: they need the network, or change the machine.
ONLY_ON_RUNNERS = {"release-toolchain", "advisories", "browser", "test-terraform PROVIDER=registry"}
ERRORS = []


def check(holds, error):
    if not holds:
        ERRORS.append(error)


def check_mentions():
    """Tests make up releases and repositories of their own, and the changelog mentions old ones."""
    mentions = {VERSION: 0, REPOSITORY: 0}
    for name in subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines():
        path = ROOT / name
        if "tests" in path.parts or "fuzz" in path.parts or path.suffix in {".lock", ".svg"} or path.name == "CHANGELOG.md" or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            for pattern, expected in ((VERSIONS, VERSION), (REPOSITORIES, REPOSITORY)):
                for found in pattern.findall(line):
                    mentions[expected] += 1
                    check(found == expected, f"{name}:{number}: {found}, but Cargo.toml has {expected}")
    for expected, number in mentions.items():
        check(number >= 5, f"only {number} mentions of {expected} found: the search does not work")
    releases = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    check(releases[:1] == [VERSION], f"CHANGELOG.md: the newest release is {releases[:1]}, but Cargo.toml has {VERSION}")
    for manifest in ROOT.glob("*/Cargo.toml"):
        fields = tomllib.loads(manifest.read_text())["package"]
        inherits = all(fields.get(field) == {"workspace": True} for field in ("version", "repository"))
        check(inherits or manifest.parent.name == "fuzz", f"{manifest.parent.name}/Cargo.toml does not inherit version and repository")


def check_workflows():
    """A step that is not a make target, or that no local run uses, would first run when there is a tag."""
    local = "".join((ROOT / name).read_text() for name in (".ci/run", "tests/run.py", "packaging/test_release.py"))
    makefile, steps = (ROOT / "Makefile").read_text(), 0
    for name in ("ci", "release"):
        for step in re.findall(r"run: (.+)", (ROOT / f".github/workflows/{name}.yml").read_text()):
            steps += 1
            if script := re.match(r"python (packaging/\w+\.py)|python -m pip install .* packaging/requirements.txt$", step):
                # For Windows, which has no make. The Makefile uses the same programs.
                check(not script[1] or script[1] in makefile, f"{name}.yml: the Makefile does not use {script[1]}")
                continue
            targets = step.removeprefix("make ")
            check(targets != step, f"{name}.yml: this step is not a make target: {step}")
            for target in [] if targets in ONLY_ON_RUNNERS else [word for word in targets.split() if "=" not in word]:
                check(f"\n{target}:" in makefile, f"{name}.yml: the Makefile has no target {target}")
                check(re.search(rf'"{target}"|make {target}\b', local), f"{name}.yml: no local run uses `make {target}`")
    check(steps >= 10, f"only {steps} steps found: the search does not work")


def check_budget():
    command = ["cargo", "tree", "--locked", "--package", "broker", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.check_output([*command, "--target", "x86_64-unknown-linux-gnu"], cwd=ROOT, text=True)
    crates = {line.removesuffix(" (*)") for line in tree.splitlines()}
    budget = tomllib.loads((ROOT / "packaging" / "budget.toml").read_text())["crates"]
    check(10 < len(crates) <= budget, f"{len(crates)} crates: the budget in packaging/budget.toml is {budget}\n{tree}")
    return f"{len(crates)} of {budget} crates in the function's tree"


def main():
    check_mentions()
    check_workflows()
    budget = check_budget()
    print(*ERRORS, sep="\n", end="\n" if ERRORS else "")
    print(f"project: {budget}, {len(ERRORS)} errors")
    return 1 if ERRORS else 0


if __name__ == "__main__":
    sys.exit(main())
