"""Holds what `make package` wrote to what a user, an auditor and Lambda expect of it.

In: the folder of packages, and the architectures to look at. Out: a line for each check, and `N passed, N failed`. It runs
the very program of the zip: here if it is for this machine, under qemu's user emulation if that is installed, else it says
that the program was only built.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tomllib
import zipfile

from package import ARCHITECTURES

CHECKS = []


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--into", type=pathlib.Path, required=True)
    arguments.add_argument("architectures", nargs="+", choices=ARCHITECTURES)
    arguments = arguments.parse_args()
    version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    budget = tomllib.loads(pathlib.Path("packaging/budget.toml").read_text())
    sums = dict(reversed(line.split("  ")) for line in (arguments.into / "checksums.txt").read_text().splitlines())

    for architecture in arguments.architectures:
        cpu, asset = ARCHITECTURES[architecture]["cpu"], ARCHITECTURES[architecture]["asset"]
        package = arguments.into / f"{asset}.zip"
        size, most = package.stat().st_size, budget[f"zip_{architecture}"]
        check(size <= most, f"{architecture}: the zip has {size:,} of {most:,} bytes in the budget")
        for name in (f"{asset}.zip", f"{asset}.cdx.json", f"{asset}.NOTICES.txt"):
            digest = hashlib.sha256((arguments.into / name).read_bytes()).hexdigest()
            check(sums.get(name) == digest, f"{architecture}: checksums.txt has the sum of {name}")
        with zipfile.ZipFile(package) as archive:
            entries = [(e.filename, oct(e.external_attr >> 16), e.date_time) for e in archive.infolist()]
            check(entries == [("bootstrap", "0o100755", (1980, 1, 1, 0, 0, 0))], f"{architecture}: the zip holds {entries}")
            program = pathlib.Path(os.environ["CARGO_TARGET_DIR"], "package", architecture, "bootstrap").absolute()
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_bytes(archive.read("bootstrap"))
            program.chmod(0o755)
        bom = json.loads((arguments.into / f"{asset}.cdx.json").read_text())
        root = bom["metadata"]["component"]
        check(root["version"] == version and len(bom["components"]) > 10, f"{architecture}: the SBOM names {len(bom['components'])} crates")
        texts = (arguments.into / f"{asset}.NOTICES.txt").read_text()
        unnoticed = [c["name"] for c in bom["components"] if f"{c['name']} {c['version']} (" not in texts]
        check(not unnoticed, f"{architecture}: every crate of the SBOM has its licence notice {unnoticed or ''}")
        run(program, cpu, architecture, f"github-token-broker {version} ({cpu}-unknown-linux-gnu)")

    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def check(holds, what):
    print("ok    " if holds else "FAILED", what)
    CHECKS.append(bool(holds))


def run(program, cpu, architecture, expected):
    """`--version`, then the main path of the black box: whole invocations on the sandbox."""
    if cpu != platform.machine():
        qemu, libraries = f"qemu-{cpu}-static", f"/usr/{cpu}-linux-gnu"
        if not shutil.which(qemu) or not pathlib.Path(libraries).is_dir():
            print(f"{architecture}: ONLY BUILT, not run: there is no {qemu} with {libraries} here (make cross-tools)")
            return
        emulated = program.with_name("emulated")
        emulated.write_text(f'#!/bin/sh\nexec {qemu} -L {libraries} {program} "$@"\n')
        emulated.chmod(0o755)
        program = emulated
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    check(said == expected, f"{architecture}: --version says {said!r}")
    blackbox = ["cargo", "test", "--locked", "--quiet", "--package", "github-token-broker", "--test", "blackbox", "main_path::an_empty_payload"]
    tested = subprocess.run(blackbox, env=os.environ | {"BROKER_UNDER_TEST": str(program)}, stdout=subprocess.PIPE, text=True)
    check(tested.returncode == 0 and "ok. 1 passed" in tested.stdout, f"{architecture}: a token is minted on the sandbox by {program.name}")
    if tested.returncode:
        print(tested.stdout)


if __name__ == "__main__":
    main()
