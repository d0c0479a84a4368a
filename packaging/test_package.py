"""Checks the packages of `make package` for their users, for auditors and for Lambda.

Input: the folder of the packages, and the architectures. Output: a line for each check, and `N passed, N failed`. It runs the
program from the zip, natively or under qemu's user emulation. Without qemu, it reports that the program was only built.
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
MEASURING = ["fault_matrix::", "memory::", "survival::", "payload::a_large_payload"]  # they measure time or memory, which an emulator changes


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
        check(size <= most, f"{architecture}: the zip is within its budget")
        for name in (f"{asset}.zip", f"{asset}.cdx.json", f"{asset}.NOTICES.txt"):
            digest = hashlib.sha256((arguments.into / name).read_bytes()).hexdigest()
            check(sums.get(name) == digest, f"{architecture}: checksums.txt has the checksum of {name}")
        with zipfile.ZipFile(package) as archive:
            entries = [(e.filename, oct(e.external_attr >> 16), e.date_time) for e in archive.infolist()]
            check(entries == [("bootstrap", "0o100755", (1980, 1, 1, 0, 0, 0))], f"{architecture}: the zip contains {entries}")
            program = pathlib.Path(os.environ["CARGO_TARGET_DIR"], "package", architecture, "bootstrap").absolute()
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_bytes(archive.read("bootstrap"))
            program.chmod(0o755)
        check_rejected_programs(program.read_bytes(), architecture)
        text = (arguments.into / f"{asset}.cdx.json").read_text()
        invalid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        check(not invalid, f"{architecture}: the SBOM is valid CycloneDX 1.6 {str(invalid or '').splitlines()[:1] or ''}")
        bom = json.loads(text)
        root = bom["metadata"]["component"]
        named = {(c["name"], c["version"]) for c in [root, *bom["components"]]}
        embedded = {(c["name"], c["version"]) for c in embedded_crates(program.read_bytes())}
        check(root["version"] == version and named <= embedded, f"{architecture}: the SBOM has {len(named)} of the {len(embedded)} crates in the program's own list")
        linked = {(c["name"], c["version"]) for c in bom["components"] if c["properties"][0]["value"] == "runtime"}
        check({"aws-lc-sys", "rustls", "aws-sigv4"} <= dict(linked).keys(), f"{architecture}: {len(linked)} of them are linked in, including TLS and AWS signatures")
        banned = {ban["crate"] for ban in tomllib.loads(pathlib.Path("broker/deny.toml").read_text())["bans"]["deny"]}
        check(banned and not banned & dict(named).keys(), f"{architecture}: broker/deny.toml bans none of them {sorted(banned & dict(named).keys()) or ''}")
        check(all(c.get("licenses") and c.get("hashes") for c in bom["components"]), f"{architecture}: each has its license and its checksum")
        texts = (arguments.into / f"{asset}.NOTICES.txt").read_text()
        unnoticed = [c["name"] for c in bom["components"] if f"{c['name']} {c['version']} (" not in texts]
        check(not unnoticed, f"{architecture}: each crate of the SBOM has its license notice {unnoticed or ''}")
        check("Copyright notices for The Rust Standard Library" in texts, f"{architecture}: Rust's standard library has its license notice")
        run(program, cpu, architecture, f"github-token-broker {version} ({cpu}-unknown-linux-gnu)")

    check_missing_compiler()
    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def check(holds, what):
    print("ok    " if holds else "FAILED", what)
    CHECKS.append(bool(holds))


def check_rejected_programs(program, architecture):
    """The same program with one change each: `make package` must never write it."""
    other = next(name for name in ARCHITECTURES if name != architecture)
    newer, unnumbered = program.replace(b"GLIBC_2.34\0", b"GLIBC_2.35\0"), program.replace(b"GLIBC_2.34\0", b"GLIBC_NEXT\0")
    library = program.replace(b"libgcc_s.so.1\0", b"libcrypt.so.1\0")
    for what, spoiled in (("a newer glibc", newer), ("a glibc without a number", unnumbered), ("another library", library)):
        check(spoiled != program and rejected(check_runs_on_lambda, spoiled, architecture), f"{architecture}: a program that needs {what} is rejected")
    check(rejected(check_runs_on_lambda, program, other), f"{other}: a program for {architecture} is rejected")
    for folder in (os.getcwd(), os.environ["CARGO_HOME"], os.environ["CARGO_TARGET_DIR"]):
        check(rejected(check_names_no_path_of_this_machine, program + f"\0{folder}/x".encode()), f"{architecture}: a program that contains {folder} is rejected")


def check_missing_compiler():
    """Without a cross compiler, the run fails and names it."""
    other = next(name for name in ARCHITECTURES if ARCHITECTURES[name]["cpu"] != platform.machine())
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "packaging/package.py", "--into", folder, other]
        done = subprocess.run(command, env=os.environ | {"PATH": folder}, stderr=subprocess.PIPE, text=True)
        named = f"There is no {ARCHITECTURES[other]['cpu']}-linux-gnu-gcc" in done.stderr
        check(done.returncode == 1 and named and not os.listdir(folder), f"{other}: without its cross compiler, the run names it and fails")


def rejected(rule, *arguments):
    try:
        rule(*arguments)
    except SystemExit as reason:
        return isinstance(reason.code, str)
    return False


def run(program, cpu, architecture, expected):
    """Runs `--version`, then the black-box tests that an emulator cannot distort."""
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
    check(said == expected, f"{architecture}: --version prints {said!r}")
    blackbox = ["cargo", "test", "--locked", "--quiet", "--package", "broker", "--test", "blackbox", *which]
    tested = subprocess.run(blackbox, env=os.environ | {"BROKER_UNDER_TEST": str(program)}, stdout=subprocess.PIPE, text=True)
    passed = int((re.search(r"^test result: ok\. (\d+) passed", tested.stdout, re.MULTILINE) or ["", 0])[1])
    check(tested.returncode == 0 and passed > 5, f"{architecture}: {passed} black-box tests pass with {program.name}")
    if tested.returncode:
        print(tested.stdout)


if __name__ == "__main__":
    main()
