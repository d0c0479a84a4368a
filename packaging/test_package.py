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
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from package import ARCHITECTURES, check_names_no_path_of_this_machine, check_runs_on_lambda, embedded_crates

CHECKS = []
MEASURING = ["fault_matrix::", "memory::", "survival::", "payload::a_large_payload"]  # time or memory: not an emulator's to say


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
        print(f"budget: {size:,} of {most:,} bytes in the {architecture} zip")
        check(size <= most, f"{architecture}: the zip stays within its budget")
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
        check_what_is_refused(program.read_bytes(), architecture)
        text = (arguments.into / f"{asset}.cdx.json").read_text()
        invalid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        check(not invalid, f"{architecture}: the SBOM is valid CycloneDX 1.6 {str(invalid or '').splitlines()[:1] or ''}")
        bom = json.loads(text)
        root = bom["metadata"]["component"]
        named = {(c["name"], c["version"]) for c in [root, *bom["components"]]}
        embedded = {(c["name"], c["version"]) for c in embedded_crates(program.read_bytes())}
        check(root["version"] == version and named <= embedded, f"{architecture}: the SBOM names {len(named)} of the {len(embedded)} crates in the program's own list")
        linked = {(c["name"], c["version"]) for c in bom["components"] if c["properties"][0]["value"] == "runtime"}
        check({"aws-lc-sys", "rustls", "aws-sigv4"} <= dict(linked).keys(), f"{architecture}: {len(linked)} of them are linked in, TLS and AWS's signatures among them")
        banned = {ban["crate"] for ban in tomllib.loads(pathlib.Path("deny.toml").read_text())["bans"]["deny"]}
        check(banned and not banned & dict(named).keys(), f"{architecture}: none is one that deny.toml bans {sorted(banned & dict(named).keys()) or ''}")
        check(all(c.get("licenses") and c.get("hashes") for c in bom["components"]), f"{architecture}: each with its licence and its checksum")
        texts = (arguments.into / f"{asset}.NOTICES.txt").read_text()
        unnoticed = [c["name"] for c in bom["components"] if f"{c['name']} {c['version']} (" not in texts]
        check(not unnoticed, f"{architecture}: every crate of the SBOM has its licence notice {unnoticed or ''}")
        check("Copyright notices for The Rust Standard Library" in texts, f"{architecture}: so has Rust's standard library")
        run(program, cpu, architecture, f"github-token-broker {version} ({cpu}-unknown-linux-gnu)")

    check_what_is_said_without_tools()
    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def check(holds, what):
    print("ok    " if holds else "FAILED", what)
    CHECKS.append(bool(holds))


def check_what_is_refused(program, architecture):
    """The same program, one thing changed each: what `make package` must never write."""
    other = next(name for name in ARCHITECTURES if name != architecture)
    newer, unnumbered = program.replace(b"GLIBC_2.34\0", b"GLIBC_2.35\0"), program.replace(b"GLIBC_2.34\0", b"GLIBC_NEXT\0")
    library = program.replace(b"libgcc_s.so.1\0", b"libcrypt.so.1\0")
    for what, spoiled in (("a newer glibc", newer), ("a glibc without a number", unnumbered), ("another library", library)):
        check(spoiled != program and refused(check_runs_on_lambda, spoiled, architecture), f"{architecture}: a program that needs {what} is refused")
    check(refused(check_runs_on_lambda, program, other), f"{other}: a program for {architecture} is refused")
    for folder in (os.getcwd(), os.environ["CARGO_HOME"], os.environ["CARGO_TARGET_DIR"]):
        check(refused(check_names_no_path_of_this_machine, program + f"\0{folder}/x".encode()), f"{architecture}: a program that names {folder} is refused")


def check_what_is_said_without_tools():
    """A machine without a cross compiler is told which one, and the run does not end well."""
    other = next(name for name in ARCHITECTURES if ARCHITECTURES[name]["cpu"] != platform.machine())
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "packaging/package.py", "--into", folder, other]
        done = subprocess.run(command, env=os.environ | {"PATH": folder}, stderr=subprocess.PIPE, text=True)
        told = f"There is no {ARCHITECTURES[other]['cpu']}-linux-gnu-gcc" in done.stderr
        check(done.returncode == 1 and told and not os.listdir(folder), f"{other}: without its compiler the run says which is missing, and fails")


def refused(rule, *arguments):
    try:
        rule(*arguments)
    except SystemExit as reason:
        return isinstance(reason.code, str)
    return False


def run(program, cpu, architecture, expected):
    """`--version`, then the black box: whole invocations on the sandbox, all that an emulator can show."""
    which = ["main_path::"]
    if cpu != platform.machine():
        qemu, libraries = f"qemu-{cpu}-static", f"/usr/{cpu}-linux-gnu"
        if not shutil.which(qemu) or not pathlib.Path(libraries).is_dir():
            print(f"{architecture}: ONLY BUILT, not run: there is no {qemu} with {libraries} here (make cross-tools)")
            return
        emulated = program.with_name("emulated")
        emulated.write_text(f'#!/bin/sh\nexec {qemu} -L {libraries} {program} "$@"\n')
        emulated.chmod(0o755)
        program, which = emulated, ["--", *(word for test in MEASURING for word in ("--skip", test))]
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    check(said == expected, f"{architecture}: --version says {said!r}")
    blackbox = ["cargo", "test", "--locked", "--quiet", "--package", "broker", "--test", "blackbox", *which]
    tested = subprocess.run(blackbox, env=os.environ | {"BROKER_UNDER_TEST": str(program)}, stdout=subprocess.PIPE, text=True)
    passed = int((re.search(r"^test result: ok\. (\d+) passed", tested.stdout, re.MULTILINE) or ["", 0])[1])
    check(tested.returncode == 0 and passed > 5, f"{architecture}: {passed} tests of the black box pass on {program.name}")
    if tested.returncode:
        print(tested.stdout)


if __name__ == "__main__":
    main()
