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
import tarfile
import tempfile
import tomllib
import zipfile

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from assets import FUNCTION, client_files, function_files
from client import runnable
from package import CPU, check_contains_no_local_path, check_runs_on_lambda, embedded_crates

VERSION = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
BUDGET = tomllib.loads(pathlib.Path("packaging/budget.toml").read_text())
CHECKS = []
MEASURING = ["fault_matrix::", "memory::", "survival::", "payload::a_large_payload"]  # they measure time or memory, which an emulator changes


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--into", type=pathlib.Path, required=True)
    arguments.add_argument("--client", metavar="TARGET", help="checks the archive of the client instead")
    arguments.add_argument("architectures", nargs="*", choices=[*FUNCTION, []])
    arguments = arguments.parse_args()
    for architecture in arguments.architectures:
        check_function(arguments.into, architecture)
    if arguments.client:
        check_client(arguments.into, arguments.client)
    else:
        check_missing_compiler()
        check_build_script()
    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def check_function(folder, architecture):
    package, bom, notice = (folder / name for name in function_files(architecture))
    size, most = package.stat().st_size, BUDGET[f"zip_{architecture}"]
    print(f"budget: {size:,} of {most:,} bytes in the {architecture} zip")
    check(size <= most, f"{architecture}: the zip is within its budget")
    with zipfile.ZipFile(package) as archive:
        entries = [(e.filename, oct(e.external_attr >> 16), e.date_time) for e in archive.infolist()]
        check(entries == [("bootstrap", "0o100755", (1980, 1, 1, 0, 0, 0))], f"{architecture}: the zip contains {entries}")
        program = unpacked(architecture, "bootstrap", archive.read("bootstrap"))
    check_rejected_programs(program.read_bytes(), architecture)
    banned = {ban["crate"] for ban in tomllib.loads(pathlib.Path("broker/deny.toml").read_text())["bans"]["deny"]}
    check_files(architecture, [package, bom, notice], bom.read_text(), notice.read_text(), program.read_bytes(), banned)
    run(program, CPU[architecture], architecture, f"github-token-broker {VERSION} ({CPU[architecture]}-unknown-linux-gnu)")


def check_client(folder, target):
    archive, bom, *packages = (folder / name for name in client_files(target))
    size, most = archive.stat().st_size, BUDGET["client_program"]
    with tarfile.open(archive) as tar:
        top = archive.name.removesuffix(".tar.gz")
        entries = {entry.name.removeprefix(f"{top}/"): entry for entry in tar.getmembers()}
        files = {name: tar.extractfile(entry).read() for name, entry in entries.items()}
        check(all(entry.mtime == 0 and entry.uid == 0 and entry.name.startswith(f"{top}/") for entry in entries.values()), f"{target}: fixed times and owners, one folder")
        check(entries["github-token-broker"].mode == 0o755, f"{target}: the client is executable")
    program = unpacked(target, "github-token-broker", files["github-token-broker"])
    print(f"budget: {program.stat().st_size:,} of {most:,} bytes in the client, {size:,} packed")
    check(program.stat().st_size <= most, f"{target}: the client is within its budget")
    check(b".TH github-token-broker 1" in files["man/github-token-broker.1"], f"{target}: it has a man page")
    shells = sorted(name for name in files if name.startswith("completions/") and b"github-token-broker" in files[name])
    check(len(shells) == 4, f"{target}: it has completions: {', '.join(shells)}")
    check(files["LICENSE-MIT"] and files["LICENSE-APACHE"], f"{target}: it has both licenses")
    for package in packages:
        if not shutil.which("nfpm") and not package.exists():
            print(f"not run: the checks of {package.name}: it was not built")
            continue
        list_files = ["dpkg-deb", "--fsys-tarfile", package] if package.suffix == ".deb" else ["rpm2cpio", package]
        check_package(package, list_files, files)
    check_files(target, [archive, bom, *filter(pathlib.Path.exists, packages)], bom.read_text(), files["NOTICES.txt"].decode(), program.read_bytes(), {"openssl-sys", "native-tls", "ring"})
    version = subprocess.run([*runnable(program, target), "version"], capture_output=True, text=True).stdout
    check(VERSION in version, f"{target}: `version` prints {version.strip()!r}")
    check_names_without_libraries(program, target)


def check_package(package, unpack, files):
    """A deb or an rpm has the same program as the archive. The tool that unpacks it may be missing."""
    if not shutil.which(unpack[0]):
        print(f"not run: {unpack[0]}, which shows the files of {package.name}: it is not on PATH")
        return
    content = subprocess.run(unpack, stdout=subprocess.PIPE, check=True).stdout
    for name in ("github-token-broker", "man/github-token-broker.1", "LICENSE-MIT"):
        check(files[name] in content, f"{package.name} has the {name} of the archive")


def check_names_without_libraries(program, target):
    """In a root folder with only the client, it resolves a name from /etc/hosts and one from DNS.

    A static glibc needs shared libraries for any other source of names. A namespace of its own has port 53.
    """
    if os.geteuid() != 0 or not shutil.which("unshare"):
        print(f"not run: {target}: the client in an empty root folder: that needs root and unshare")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in ("etc", "tmp", "dev"):
            (root / name).mkdir()
        # An emulator is static too: it also runs in the empty folder.
        inside = [f"/{pathlib.Path(shutil.copy(file, root)).name}" for file in runnable(program, target)]
        (root / "etc" / "hosts").write_text("127.0.0.1 in-hosts.test\n")
        (root / "etc" / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        script = pathlib.Path(__file__).with_name("names.py").absolute()
        command = ["unshare", "--net", "--mount", sys.executable, str(script), str(root), *inside]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        for name in ("in-hosts.test", "in-dns.test"):
            check(f"request to {name}" in done.stdout, f"{target}: without shared libraries, the client resolves {name}")
        if done.returncode:
            print(done.stdout)


def check_files(label, files, bom, texts, program, banned):
    """Checksums, SBOM and license notices."""
    sums = dict(reversed(line.split("  ")) for line in (files[0].parent / "checksums.txt").read_text().splitlines())
    for file in files:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        check(sums.get(file.name) == digest, f"{label}: checksums.txt has the checksum of {file.name}")
    invalid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom)
    check(not invalid, f"{label}: the SBOM is valid CycloneDX 1.6 {str(invalid or '').splitlines()[:1] or ''}")
    bom = json.loads(bom)
    root = bom["metadata"]["component"]
    named = {(c["name"], c["version"]) for c in [root, *bom["components"]]}
    embedded = {(c["name"], c["version"]) for c in embedded_crates(program)}
    check(root["version"] == VERSION and named <= embedded, f"{label}: the SBOM has {len(named)} of the {len(embedded)} crates in the program's own list {sorted(named - embedded) or ''}")
    linked = {c["name"] for c in bom["components"] if c["properties"][0]["value"] == "runtime"}
    check({"aws-lc-sys", "rustls", "aws-sigv4"} <= linked, f"{label}: {len(linked)} of them are linked in, including TLS and AWS signatures")
    check(banned and not banned & dict(named).keys(), f"{label}: none of them is banned {sorted(banned & dict(named).keys()) or ''}")
    # A crate of this workspace, such as the one that the client shares with the function, comes from no registry.
    own = {c["name"] for c in bom["components"] if not c.get("hashes")}
    check(all(c.get("licenses") for c in bom["components"]) and own <= {"broker"}, f"{label}: each has its license and its checksum {sorted(own)}")
    unnoticed = [c["name"] for c in bom["components"] if f"{c['name']} {c['version']} (" not in texts]
    check(not unnoticed, f"{label}: each crate of the SBOM has its license notice {unnoticed or ''}")
    check("Copyright notices for The Rust Standard Library" in texts, f"{label}: Rust's standard library has its license notice")


def unpacked(label, name, content):
    program = pathlib.Path(os.environ["CARGO_TARGET_DIR"], "package", label, name).absolute()
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_bytes(content)
    program.chmod(0o755)
    return program


def check_build_script():
    """A release without the setting for AWS-LC's entropy does not compile; other builds get a warning."""
    scripts = pathlib.Path(os.environ["CARGO_TARGET_DIR"], "release", "build").glob("broker-*/build-script-build")
    script = max(scripts, key=lambda path: path.stat().st_mtime)
    setting = {"AWS_LC_SYS_NO_JITTER_ENTROPY": "1"}
    for variables, kind in (({"RELEASE_RECIPE": "1"}, "error"), ({}, "warning"), (setting | {"RELEASE_RECIPE": "1"}, None)):
        printed = subprocess.run([script], env={"PROFILE": "release", **variables}, stdout=subprocess.PIPE, text=True).stdout
        found = {kind for kind in ("error", "warning") if f"cargo::{kind}=" in printed}
        check(found == {kind} - {None}, f"the build script prints {kind or 'nothing'} with {', '.join(variables) or 'no setting'}")


def check(holds, what):
    print("ok    " if holds else "FAILED", what)
    CHECKS.append(bool(holds))


def check_rejected_programs(program, architecture):
    """The same program with one change each: `make package` must never write it."""
    other = next(name for name in FUNCTION if name != architecture)
    newer, unnumbered = program.replace(b"GLIBC_2.34\0", b"GLIBC_2.35\0"), program.replace(b"GLIBC_2.34\0", b"GLIBC_NEXT\0")
    library = program.replace(b"libgcc_s.so.1\0", b"libcrypt.so.1\0")
    for what, spoiled in (("a newer glibc", newer), ("a glibc without a number", unnumbered), ("another library", library)):
        check(spoiled != program and rejected(check_runs_on_lambda, spoiled, architecture), f"{architecture}: a program that needs {what} is rejected")
    check(rejected(check_runs_on_lambda, program, other), f"{other}: a program for {architecture} is rejected")
    for folder in (os.getcwd(), os.environ["CARGO_HOME"], os.environ["CARGO_TARGET_DIR"]):
        check(rejected(check_contains_no_local_path, program + f"\0{folder}/x".encode()), f"{architecture}: a program that contains {folder} is rejected")


def check_missing_compiler():
    """Without a cross compiler, the run fails and names it."""
    other = next(name for name in FUNCTION if CPU[name] != platform.machine())
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "packaging/package.py", "--into", folder, other]
        done = subprocess.run(command, env=os.environ | {"PATH": folder}, stderr=subprocess.PIPE, text=True)
        named = f"There is no {CPU[other]}-linux-gnu-gcc" in done.stderr
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
            print(f"not run: {architecture}, only built: there is no {qemu} with {libraries} here (make cross-tools)")
            return
        emulated = program.with_name("emulated")
        emulated.write_text(f'#!/bin/sh\nexec {qemu} -L {libraries} {program} "$@"\n')
        emulated.chmod(0o755)
        program, which = emulated, ["--", *(word for test in MEASURING for word in ("--skip", test))]
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    check(said == expected, f"{architecture}: --version prints {said!r}")
    blackbox = ["cargo", "test", "--locked", "--quiet", "--workspace", "--test", "blackbox", *which]
    tested = subprocess.run(blackbox, env=os.environ | {"BROKER_UNDER_TEST": str(program)}, stdout=subprocess.PIPE, text=True)
    passed = int((re.search(r"^test result: ok\. (\d+) passed", tested.stdout, re.MULTILINE) or ["", 0])[1])
    check(tested.returncode == 0 and passed > 5, f"{architecture}: {passed} black-box tests pass with {program.name}")
    if tested.returncode:
        print(tested.stdout)


if __name__ == "__main__":
    main()
