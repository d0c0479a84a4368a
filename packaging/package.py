"""Builds the files that a release publishes for an architecture, and rejects a program that cannot run on Lambda.

Input: the architectures, and the sources. Output, in the folder --into: the zip for Lambda, its SBOM, and the license notices
of its crates. The same sources and compilers give the same bytes. Invariant: it never writes a zip whose program needs more
than `provided.al2023` has, or contains a path of the machine that built it.
"""

import argparse
import hashlib
import html
import io
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import uuid
import zipfile
import zlib

import zopfli
from cyclonedx.model import HashAlgorithm, HashType, Property, XsUri, ExternalReference, ExternalReferenceType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from packageurl import PackageURL

# The Terraform module defaults to arm64, so that zip has the plain name.
ARCHITECTURES = {
    "x86_64": {"cpu": "x86_64", "asset": "github-token-broker-x86_64"},
    "arm64": {"cpu": "aarch64", "asset": "github-token-broker"},
}
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
NOTICE = re.compile(r"(licen[sc]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
SOURCE_SUFFIXES = {".rs", ".toml", ".c", ".h", ".py", ".json"}


class CannotBuild(Exception):
    """This machine lacks a tool. The text names it, and says how to install it."""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--into", type=pathlib.Path, required=True)
    arguments.add_argument("architectures", nargs="+", choices=ARCHITECTURES)
    arguments = arguments.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)

    missing = {}
    for architecture in arguments.architectures:
        asset = arguments.into / ARCHITECTURES[architecture]["asset"]
        for suffix in (".zip", ".cdx.json", ".NOTICES.txt"):  # the files of an earlier run must not pass for those of this one
            asset.with_name(asset.name + suffix).unlink(missing_ok=True)
        try:
            path, rustc = build(ARCHITECTURES[architecture]["cpu"])
        except CannotBuild as reason:
            missing[architecture] = reason
            continue
        program = path.read_bytes()
        check_runs_on_lambda(program, architecture)
        check_names_no_path_of_this_machine(program)
        crates = compiled(embedded_crates(program), ARCHITECTURES[architecture]["cpu"])
        asset.with_name(asset.name + ".zip").write_bytes(zipped(program))
        asset.with_name(asset.name + ".cdx.json").write_text(sbom(crates, program))
        asset.with_name(asset.name + ".NOTICES.txt").write_text(notices(crates, rustc))
        print(f"{architecture}: {asset}.zip, {len(program):,} bytes of program, {len(crates):,} crates in it and its build")
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
    folder, environment = pathlib.Path(os.environ["CARGO_TARGET_DIR"]), os.environ | AUDITABLE
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


def check_names_no_path_of_this_machine(program):
    for folder in {os.getcwd(), os.environ["CARGO_HOME"], os.environ["CARGO_TARGET_DIR"]}:
        found = re.search(re.escape(os.path.abspath(folder).encode()) + rb"/[ -~]{0,80}", program)
        if found:
            sys.exit(f"the program contains a path of this machine: {found[0].decode()}")


def embedded_crates(program):
    """The list of crates that cargo-auditable wrote into the program: it comes from the bytes that are shipped."""
    section = ELFFile(io.BytesIO(program)).get_section_by_name(".dep-v0")
    if section is None:
        sys.exit("the program contains no list of crates: another build, such as `make build`, replaced it. Run this again")
    return json.loads(zlib.decompress(section.data()))["packages"]


def compiled(crates, cpu):
    """The part of the program's list that cargo compiles for it. The list is too long: it comes from `cargo metadata`, which
    includes the features that other members of the workspace enable. The kind of a crate that only runs at build time is `build`."""
    everything, linked = tree(cpu, "normal,build"), tree(cpu, "normal,no-proc-macro")
    names = [(crate["name"], crate["version"]) for crate in crates]
    if everything - set(names):
        sys.exit(f"the program's list lacks {everything - set(names)}")
    kept = {old: new for new, old in enumerate(i for i, name in enumerate(names) if name in everything)}
    return [
        crates[old]
        | {"kind": "runtime" if names[old] in linked else "build"}
        | {"dependencies": [kept[i] for i in crates[old].get("dependencies", []) if i in kept]}
        for old in kept
    ]


def tree(cpu, edges):
    command = ["cargo", "tree", "--locked", "--package", "broker", "--edges", edges, "--prefix", "none"]
    lines = subprocess.check_output([*command, "--target", f"{cpu}-unknown-linux-gnu", "--format", "{p}"], text=True).splitlines()
    return {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, filter(None, lines))}


def zipped(program):
    """One entry with a fixed time and mode. The deflate implementation is pinned, because zlib's output differs between systems."""
    archive = io.BytesIO()
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr, entry.compress_type = 3, 0o100755 << 16, zipfile.ZIP_DEFLATED
    with zopfli.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, iterations=5) as writer:
        writer.writestr(entry, program)
    return archive.getvalue()


def sources():
    """The license, checksum and folder of each crate in Cargo.lock."""
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--locked", "--format-version", "1"]))
    lock = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"', pathlib.Path("Cargo.lock").read_text())
    checksums = {(name, version): checksum for name, version, checksum in lock}
    return {(p["name"], p["version"]): p | {"sha256": checksums.get((p["name"], p["version"]))} for p in metadata["packages"]}


def sbom(crates, program):
    known, components = sources(), []
    for crate in crates:
        source = known[crate["name"], crate["version"]]
        components.append(
            Component(
                type=ComponentType.APPLICATION if crate.get("root") else ComponentType.LIBRARY,
                name=crate["name"],
                version=crate["version"],
                bom_ref=f"{crate['name']}@{crate['version']}",
                purl=PackageURL("cargo", name=crate["name"], version=crate["version"]) if source["sha256"] else None,
                licenses=[LicenseExpression(source["license"].replace("/", " OR "))],
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=source["sha256"])] if source["sha256"] else None,
                properties=[Property(name="cdx:rustc:dependency_kind", value=crate["kind"])],
                external_references=[ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(source["repository"]))]
                if source["repository"]
                else None,
            )
        )
    root = next(c for c in components if c.type is ComponentType.APPLICATION)
    # The same program gives the same document: the serial number is derived from the program, and there is no timestamp.
    serial = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(program).hexdigest())
    bom = Bom(components=[c for c in components if c is not root], serial_number=serial)
    bom.metadata.component, bom.metadata.timestamp = root, None
    for crate, component in zip(crates, components):
        bom.register_dependency(component, [components[i] for i in crate["dependencies"]])
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def notices(crates, rustc):
    """The license files of each crate, verbatim, each distinct text once; then the notices of Rust's standard library."""
    known, texts = sources(), {}
    for crate in crates:
        source = known[crate["name"], crate["version"]]
        folder = pathlib.Path(source["manifest_path"]).parent
        files = folder.rglob("*") if source["source"] else folder.glob("*")  # our own folders also contain builds
        files = [f for f in files if f.is_file() and NOTICE.match(f.name) and f.suffix not in SOURCE_SUFFIXES] or [None]
        for file in files:
            text = file.read_text(errors="replace").strip() if file else ""
            texts.setdefault(text, set()).add(f"{crate['name']} {crate['version']} ({source['license']})")
    none = texts.pop("", set())
    parts = [f"{chr(10).join(sorted(who))}\n\n{text}" for text, who in sorted(texts.items(), key=lambda item: sorted(item[1]))]
    if none:
        parts.append("These crates have no license file. Their license is in parentheses:\n" + "\n".join(sorted(none)))
    parts.append(standard_library_notice(rustc))
    return f"\n\n{'-' * 100}\n\n".join(parts) + "\n"


def standard_library_notice(rustc):
    """Rust's standard library is in every program, but in no list of crates. Its notices come with the compiler."""
    documents = pathlib.Path(subprocess.check_output([rustc, "--print", "sysroot"], text=True).strip(), "share", "doc")
    page, debian = documents / "rust" / "COPYRIGHT-library.html", documents / "rustc-web" / "copyright"
    if page.exists():
        lines = [line.strip() for line in html.unescape(re.sub(r"<[^>]*>", "", page.read_text())).splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if debian.exists():
        return f"Copyright notices for The Rust Standard Library\n\n{debian.read_text().strip()}"
    sys.exit(f"the notices of Rust's standard library are missing: {page} should be part of rustc")


if __name__ == "__main__":
    main()
