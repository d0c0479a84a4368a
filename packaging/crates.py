"""What a program is made of: its crates, as an SBOM and as license notices.

Input: a package of the workspace and the target it is built for. The same sources and program give the same bytes.
"""

import hashlib
import html
import json
import pathlib
import re
import subprocess
import sys
import uuid

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

NOTICE = re.compile(r"(licen[sc]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
SOURCE_SUFFIXES = {".rs", ".toml", ".c", ".h", ".py", ".json"}


def crates_of(package, target):
    """Each crate that cargo compiles for the package, with its metadata, checksum, kind and dependencies.

    The kind of a crate that runs only at build time is `build`. The list that `cargo auditable` embeds is longer: it includes
    features that other members of the workspace enable.
    """
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    metadata = json.loads(subprocess.check_output(command))
    lock = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"', pathlib.Path("Cargo.lock").read_text())
    checksums = {(name, version): checksum for name, version, checksum in lock}
    compiled, linked = tree(package, target, "normal,build"), tree(package, target, "normal,no-proc-macro")
    names = {p["id"]: (p["name"], p["version"]) for p in metadata["packages"]}
    needs = {names[node["id"]]: {names[name] for name in node["dependencies"]} for node in metadata["resolve"]["nodes"]}
    return [
        {
            **p,
            "root": p["name"] == package,
            "sha256": checksums.get((p["name"], p["version"])),
            "kind": "runtime" if (p["name"], p["version"]) in linked else "build",
            "needs": sorted(needs[p["name"], p["version"]] & compiled),
        }
        for p in sorted(metadata["packages"], key=lambda p: (p["name"], p["version"]))
        if (p["name"], p["version"]) in compiled
    ]


def tree(package, target, edges):
    command = ["cargo", "tree", "--locked", "--package", package, "--edges", edges, "--prefix", "none", "--target", target, "--format", "{p}"]
    lines = subprocess.check_output(command, text=True).splitlines()
    return {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, filter(None, lines))}


def sbom(crates, program):
    """CycloneDX. The serial number is derived from the program, and there is no timestamp."""
    components = {(crate["name"], crate["version"]): component(crate) for crate in crates}
    root = next(c for c in components.values() if c.type is ComponentType.APPLICATION)
    serial = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(program).hexdigest())
    bom = Bom(components=[c for c in components.values() if c is not root], serial_number=serial)
    bom.metadata.component, bom.metadata.timestamp = root, None
    for crate in crates:
        bom.register_dependency(components[crate["name"], crate["version"]], [components[name] for name in crate["needs"]])
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def component(crate):
    reference = ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(crate["repository"])) if crate["repository"] else None
    return Component(
        type=ComponentType.APPLICATION if crate["root"] else ComponentType.LIBRARY,
        name=crate["name"],
        version=crate["version"],
        bom_ref=f"{crate['name']}@{crate['version']}",
        purl=PackageURL("cargo", name=crate["name"], version=crate["version"]) if crate["sha256"] else None,
        licenses=[LicenseExpression(crate["license"].replace("/", " OR "))],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=crate["sha256"])] if crate["sha256"] else None,
        properties=[Property(name="cdx:rustc:dependency_kind", value=crate["kind"])],
        external_references=[reference] if reference else None,
    )


def notices(crates, rustc, more=()):
    """The license files of each crate, verbatim, each distinct text once; then Rust's standard library, and `more` texts."""
    texts = {}
    for crate in crates:
        folder = pathlib.Path(crate["manifest_path"]).parent
        files = folder.rglob("*") if crate["source"] else folder.glob("*")  # our own folders also contain builds
        files = [f for f in files if f.is_file() and NOTICE.match(f.name) and f.suffix not in SOURCE_SUFFIXES] or [None]
        for file in files:
            text = file.read_text(errors="replace").strip() if file else ""
            texts.setdefault(text, set()).add(f"{crate['name']} {crate['version']} ({crate['license']})")
    none = texts.pop("", set())
    parts = [f"{chr(10).join(sorted(who))}\n\n{text}" for text, who in sorted(texts.items(), key=lambda item: sorted(item[1]))]
    if none:
        parts.append("These crates have no license file. Their license is in parentheses:\n" + "\n".join(sorted(none)))
    parts += [standard_library_notice(rustc), *more]
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
