"""Builds, tests and packs the command-line client for one target.

Input: the target, and the sources. Output, in the folder --into: an archive with the client, its man page, its shell
completions and all licenses; on Linux, the same as deb and rpm; and the SBOM. On Linux, the same sources and compiler give the same bytes, and the client needs no
shared library: it is linked with musl in a release, and with a static glibc (`*-gnu`) where the machine has no musl.
"""

import argparse
import io
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

import zopfli
from elftools.elf.elffile import ELFFile

from assets import client_files
from crates import crates_of, notices, sbom
from package import AUDITABLE, CARGO_HOME, TARGET_DIR, CannotBuild, check_contains_no_local_path, cross_compiler

PACKAGE = "github-token-broker"
EPOCH = (1980, 1, 1, 0, 0, 0)
COMPLETIONS = {"bash": f"{PACKAGE}.bash", "zsh": f"_{PACKAGE}", "fish": f"{PACKAGE}.fish", "powershell": f"_{PACKAGE}.ps1"}
# glibc is under the LGPL 2.1. A static program that contains it must remain linkable with another glibc.
GLIBC_NOTICE = """glibc (LGPL-2.1-or-later)

This program is linked statically with the GNU C library, which is under the GNU Lesser General Public License, version 2.1 or
later. The sources of this program and its build instructions are public, so you can link it again with another version of
the library. The releases of this project are linked with musl instead."""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--target", required=True)
    arguments.add_argument("--into", type=pathlib.Path, default=pathlib.Path("dist"))
    arguments.add_argument("steps", nargs="+", choices=["toolchain", "test", "pack"])
    arguments = arguments.parse_args()
    os.environ["PATH"] += os.pathsep + str(pathlib.Path.home() / "go" / "bin")  # where `go install` puts nfpm
    for step in arguments.steps:
        {"toolchain": install_toolchain, "test": test, "pack": pack}[step](arguments)


def install_toolchain(arguments):
    """On a runner of the release: the exact compiler, the target, and a C compiler for musl."""
    settings = dict(re.findall(r"^(RELEASE_RUST|CARGO_AUDITABLE|NFPM) := (.+)$", pathlib.Path("Makefile").read_text(), re.MULTILINE))
    version = settings["RELEASE_RUST"]
    run("rustup", "toolchain", "install", version, "--profile", "minimal", "--target", arguments.target)
    run("rustup", "default", version)
    run("cargo", "install", "--locked", settings["CARGO_AUDITABLE"])
    if "musl" in arguments.target:
        run("go", "install", f"github.com/goreleaser/nfpm/v2/cmd/{settings['NFPM']}")
        run("sudo", "apt-get", "update", "-qq")
        run("sudo", "apt-get", "install", "-qq", "--yes", "--no-install-recommends", "musl-tools")


def test(arguments):
    """The client's own tests, natively."""
    run("cargo", "test", "--locked", "--package", PACKAGE, "--target", arguments.target)


def pack(arguments):
    target = arguments.target
    path, rustc = build(target)
    program = path.read_bytes()
    check_contains_no_local_path(program)
    if "linux" in target:
        check_is_static(program)
    crates = crates_of(PACKAGE, target)
    static_glibc = [GLIBC_NOTICE] if target.endswith("-gnu") else []
    files = {path.name: (program, 0o755), "NOTICES.txt": (notices(crates, rustc, static_glibc).encode(), 0o644)}
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        files[name] = (pathlib.Path(name).read_bytes(), 0o644)
    native = runnable(path, target)
    files[f"man/{PACKAGE}.1"] = (output_of(native, "man"), 0o644)
    for shell, name in COMPLETIONS.items():
        files[f"completions/{name}"] = (output_of(native, "completions", shell), 0o644)
    archive, bom, *packages = client_files(target)
    folder = archive.removesuffix(".zip").removesuffix(".tar.gz")
    arguments.into.mkdir(parents=True, exist_ok=True)
    packed = zipped(folder, files) if archive.endswith(".zip") else tarred(folder, files)
    (arguments.into / archive).write_bytes(packed)
    (arguments.into / bom).write_text(sbom(crates, program))
    for name in packages:
        pack_with_nfpm(arguments.into / name, target, files)
    print(f"{target}: {arguments.into / archive}, {len(program):,} bytes of program, {len(packed):,} packed, {len(crates):,} crates")


def build(target):
    """A release build, with no path of this machine in it. Returns the program and the compiler."""
    flags = [f"--remap-path-prefix={os.path.join(CARGO_HOME, 'registry', 'src')}=/deps", f"--remap-path-prefix={os.getcwd()}=/src"]
    flags += ["-Ctarget-feature=+crt-static"] if "musl" in target or "windows" in target or target.endswith("-gnu") else []
    environment = os.environ | AUDITABLE | {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags)}
    cpu = target.split("-")[0]
    if target.endswith("linux-musl"):
        environment[f"CC_{target.replace('-', '_')}"] = "musl-gcc"
    elif target.endswith("linux-gnu") and cpu != platform.machine():
        environment |= cross_compiler(cpu, target)
    command = ["cargo", "build", "--locked", "--release", "--package", PACKAGE, "--bin", PACKAGE, "--target", target]
    if subprocess.run(command, env=environment).returncode:
        raise CannotBuild("The compiler's error is above.")
    folder = pathlib.Path(TARGET_DIR, target, "release")
    return folder / (PACKAGE + (".exe" if "windows" in target else "")), environment.get("RUSTC", "rustc")


def check_is_static(program):
    elf = ELFFile(io.BytesIO(program))
    dynamic = elf.get_section_by_name(".dynamic")
    needed = [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")] if dynamic else []
    interpreter = any(segment["p_type"] == "PT_INTERP" for segment in elf.iter_segments())
    if needed or interpreter:
        sys.exit(f"the client needs shared libraries: {', '.join(needed) or 'a dynamic loader'}")


def runnable(path, target):
    """The command that runs the program here, under qemu if it is for the other architecture."""
    cpu = target.split("-")[0]
    if "linux" in target and cpu != platform.machine():
        return [shutil.which(f"qemu-{cpu}-static") or sys.exit(f"there is no qemu-{cpu}-static (make cross-tools)"), str(path)]
    return [str(path)]


def tarred(folder, files):
    """Sorted, with fixed times and owners, and compressed by a pinned implementation."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    compressor = zopfli.ZopfliCompressor(zopfli.ZOPFLI_FORMAT_GZIP, iterations=1)
    return compressor.compress(archive.getvalue()) + compressor.flush()


def zipped(folder, files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, (content, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", date_time=EPOCH)
            entry.create_system, entry.external_attr, entry.compress_type = 3, (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED
            writer.writestr(entry, content)
    return archive.getvalue()


def pack_with_nfpm(package, target, files):
    """A deb or an rpm, by its suffix. nfpm is a Go program; a release has it."""
    package.unlink(missing_ok=True)
    if not shutil.which("nfpm"):
        print(f"not run: nfpm for {package.name}: `make package-client` installs it if there is Go")
        return
    workspace = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]
    with tempfile.TemporaryDirectory() as folder:
        for name, (content, mode) in files.items():
            file = pathlib.Path(folder, name)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            file.chmod(mode)
            os.utime(file, (0, 0))
        environment = {
            "ARCH": {"x86_64": "amd64", "aarch64": "arm64"}[target.split("-")[0]],
            "VERSION": workspace["version"],
            "HOMEPAGE": workspace["repository"],
            "FOLDER": folder,
            "SOURCE_DATE_EPOCH": "315532800",
        }
        command = ["nfpm", "package", "--config", "packaging/nfpm.yaml", "--packager", package.suffix[1:], "--target", str(package)]
        subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)


def output_of(command, *arguments):
    return subprocess.run([*command, *arguments], stdout=subprocess.PIPE, check=True).stdout


def run(*command):
    print("+", *command, flush=True)
    if subprocess.run(command).returncode:
        sys.exit(f"failed: {' '.join(command)}")


if __name__ == "__main__":
    try:
        main()
    except CannotBuild as reason:
        sys.exit(f"NOT BUILT. {reason}")
