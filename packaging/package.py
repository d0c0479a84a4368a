"""Builds the files that a release publishes for an architecture, and rejects a program that cannot run on Lambda.

Input: the architectures, and the sources. Output, in the folder --into: the zip for Lambda, its SBOM, and the license notices
of its crates. The same sources and compilers give the same bytes. Invariant: it never writes a zip whose program needs more
than `provided.al2023` has, or contains a path of the machine that built it.
"""

import argparse
import io
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import zipfile
import zlib

import zopfli
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from assets import FUNCTION, function_files
from crates import crates_of, notices, sbom

CPU = {"x86_64": "x86_64", "arm64": "aarch64"}
# Every Amazon Linux 2023 image has glibc 2.34 ("Building with Amazon Linux 2023" in the Lambda guide) and libgcc, which its
# glibc package requires.
NEWEST_GLIBC = (2, 34)
BASE_LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
# The variables that `cargo auditable` sets, but with a relative path to the wrapper: cargo hashes that path into the symbols
# of our crate, so an absolute path would make the bytes depend on the tool's folder.
AUDITABLE = {
    "RUSTC_WORKSPACE_WRAPPER": "cargo-auditable",
    "CARGO_AUDITABLE_ORIG_ARGS": json.dumps({"offline": False, "locked": True, "frozen": False, "config": []}),
}

CARGO_HOME = os.environ.get("CARGO_HOME", str(pathlib.Path.home() / ".cargo"))
TARGET_DIR = os.environ.get("CARGO_TARGET_DIR", "target")


class CannotBuild(Exception):
    """This machine lacks a tool. The text names it, and says how to install it."""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--into", type=pathlib.Path, required=True)
    arguments.add_argument("--program", type=pathlib.Path, help="only zips this program, for a test")
    arguments.add_argument("architectures", nargs="+", choices=FUNCTION)
    arguments = arguments.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    if arguments.program:
        package = arguments.into / function_files(arguments.architectures[0])[0]
        package.write_bytes(zipped(arguments.program.read_bytes()))
        return

    missing = {}
    for architecture in arguments.architectures:
        package, bom, notice = (arguments.into / name for name in function_files(architecture))
        for file in (package, bom, notice):  # the files of an earlier run must not pass for those of this one
            file.unlink(missing_ok=True)
        try:
            path, rustc = build(CPU[architecture])
        except CannotBuild as reason:
            missing[architecture] = reason
            continue
        program = path.read_bytes()
        check_runs_on_lambda(program, architecture)
        check_contains_no_local_path(program)
        embedded_crates(program)  # a program without the list would ship without it
        crates = crates_of("broker", f"{CPU[architecture]}-unknown-linux-gnu")
        package.write_bytes(zipped(program))
        bom.write_text(sbom(crates, program))
        notice.write_text(notices(crates, rustc))
        print(f"{architecture}: {package}, {len(program):,} bytes of program, {len(crates):,} crates in it and its build")
        compiler = subprocess.check_output([rustc, "--version"], text=True).strip()
        if compiler.split()[1] != os.environ["RELEASE_RUST"]:
            print(f"{architecture}: built by {compiler}. A release is built by {os.environ['RELEASE_RUST']}, which gives different bytes")
    for architecture, reason in missing.items():
        print(f"{architecture}: NOT BUILT. {reason}", file=sys.stderr)
    sys.exit(1 if missing else 0)


def build(cpu):
    """Builds natively, with the settings of `make build`, so that both share compiled crates; or else with a cross compiler.

    Returns the path of the program, and the compiler.
    """
    command = ["cargo", "build", "--locked", "--release", "--package", "broker", "--bin", "bootstrap"]
    folder, environment = pathlib.Path(TARGET_DIR), os.environ | AUDITABLE
    if cpu != platform.machine():
        target = f"{cpu}-unknown-linux-gnu"
        environment |= cross_compiler(cpu, target)
        command += ["--target", target]
        folder = folder / target
    if subprocess.run(command, env=environment).returncode:
        raise CannotBuild("The compiler's error is above.")
    return folder / "release" / "bootstrap", environment.get("RUSTC", "rustc")


def cross_compiler(cpu, target):
    gcc, debian = f"{cpu}-linux-gnu-gcc", {"aarch64": "arm64", "x86_64": "amd64"}[cpu]
    apt = (
        f"On Debian, as root: dpkg --add-architecture {debian} && apt-get update && apt-get install --no-install-recommends "
        f"rustc-web libstd-rust-web-dev:{debian} gcc-{cpu.replace('_', '-')}-linux-gnu libc6-dev-{debian}-cross "
        f"(make cross-tools). On other systems: rustup target add {target}, and a GNU cross compiler."
    )
    if not shutil.which(gcc):
        raise CannotBuild(f"There is no {gcc}. {apt}")
    environment = {
        f"CARGO_TARGET_{target.upper().replace('-', '_')}_LINKER": gcc,
        f"CC_{target.replace('-', '_')}": gcc,
        f"AR_{target.replace('-', '_')}": f"{cpu}-linux-gnu-ar",
    }
    for rustc in (os.environ.get("RUSTC", "rustc"), "/usr/bin/rustc"):  # only Debian's compiler finds Debian's standard library
        if shutil.which(rustc) and list(standard_library(rustc, target).glob("libstd-*")):
            return environment | {"RUSTC": rustc}
    raise CannotBuild(f"Rust's standard library for {target} is not installed. {apt}")


def standard_library(rustc, target):
    return pathlib.Path(subprocess.check_output([rustc, "--print", "target-libdir", "--target", target], text=True).strip())


def check_runs_on_lambda(program, architecture):
    elf = ELFFile(io.BytesIO(program))
    machine = {"x86_64": "EM_X86_64", "arm64": "EM_AARCH64"}[architecture]
    if elf["e_machine"] != machine:
        sys.exit(f"{architecture}: the program is for {elf['e_machine']}")
    needed = {tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}
    if needed - BASE_LIBRARIES:
        sys.exit(f"{architecture}: provided.al2023 does not have {', '.join(sorted(needed - BASE_LIBRARIES))}")
    versions = {
        version.name
        for section in elf.iter_sections()
        if isinstance(section, GNUVerNeedSection)
        for _, wanted in section.iter_versions()
        for version in wanted
    }
    versions = {name.removeprefix("GLIBC_") for name in versions if name.startswith("GLIBC_")}
    glibc = {tuple(map(int, name.split("."))) for name in versions if re.fullmatch(r"[\d.]+", name)}
    if not glibc or max(glibc) > NEWEST_GLIBC or len(glibc) < len(versions):  # PRIVATE and ABI_DT_RELR have no number
        sys.exit(f"{architecture}: needs glibc {', '.join(sorted(versions))}; provided.al2023 has glibc {NEWEST_GLIBC[0]}.{NEWEST_GLIBC[1]}")
    print(f"{architecture}: needs {', '.join(sorted(needed))}; newest symbol GLIBC_{'.'.join(map(str, max(glibc)))}")


def check_contains_no_local_path(program):
    for folder in {os.getcwd(), CARGO_HOME, TARGET_DIR}:
        found = re.search(re.escape(os.path.abspath(folder).encode()) + rb"[/\\][ -~]{0,80}", program)
        if found:
            sys.exit(f"the program contains a path of this machine: {found[0].decode()}")


def embedded_crates(program):
    """The list of crates that cargo-auditable wrote into the program: it comes from the bytes that are shipped."""
    section = ELFFile(io.BytesIO(program)).get_section_by_name(".dep-v0")
    if section is None:
        sys.exit("the program contains no list of crates: another build, such as `make build`, replaced it. Run this again")
    return json.loads(zlib.decompress(section.data()))["packages"]


def zipped(program):
    """One entry with a fixed time and mode. The deflate implementation is pinned, because zlib's output differs between systems."""
    archive = io.BytesIO()
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr, entry.compress_type = 3, 0o100755 << 16, zipfile.ZIP_DEFLATED
    with zopfli.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, iterations=5) as writer:
        writer.writestr(entry, program)
    return archive.getvalue()


if __name__ == "__main__":
    main()
