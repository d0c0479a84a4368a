"""The files of a release, by exact name. Nothing else is published.

Run as a program, it hands files from the jobs that build them to the jobs that sign and publish them:
`sums FOLDER` prints the checksums of a build job's files, for its output; `collect FOLDER` compares the downloaded files with
those outputs, rejects a missing, changed or unknown file, and writes checksums.txt.
"""

import hashlib
import json
import os
import pathlib
import sys

# By architecture. The Terraform module defaults to arm64, so that zip has the plain name.
FUNCTION = {"arm64": "github-token-broker", "x86_64": "github-token-broker-x86_64"}
CLIENT = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
]


def function_files(architecture):
    return [FUNCTION[architecture] + suffix for suffix in (".zip", ".cdx.json", ".NOTICES.txt")]


def client_files(target):
    suffixes = [".zip" if "windows" in target else ".tar.gz", ".cdx.json", *([".deb", ".rpm"] if "linux" in target else [])]
    return [f"github-token-broker-cli-{target}{suffix}" for suffix in suffixes]


def release_files():
    groups = [*map(function_files, FUNCTION), *map(client_files, CLIENT)]
    return sorted(name for group in groups for name in group)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sums(folder):
    """One line, as a job output: {"name": "sha256"}."""
    return json.dumps({path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name in release_files()})


def collect(folder, outputs):
    """Writes checksums.txt if the folder has exactly the files of a release, as the build jobs made them."""
    built = {}
    for output in outputs:
        for name, digest in json.loads(output).items():
            if built.setdefault(name, digest) != digest:
                sys.exit(f"two build jobs made {name}, with different content")
    found = {path.name for path in folder.iterdir()} - {"checksums.txt"}
    if unknown := sorted(found - set(release_files())):
        sys.exit(f"unknown files, which no release has: {', '.join(unknown)}")
    if missing := sorted(set(release_files()) - (found & built.keys())):
        sys.exit(f"files without a download or without a checksum from their build job: {', '.join(missing)}")
    if changed := sorted(name for name in found if sha256(folder / name) != built[name]):
        sys.exit(f"files that are not what their build job made: {', '.join(changed)}")
    write_checksums(folder)


def write_checksums(folder):
    """Over the files that are there: a local build has only some of a release's files."""
    names = [name for name in release_files() if (folder / name).is_file()]
    names += sorted(path.name for path in folder.glob("github-token-broker-cli-*-gnu.*"))
    (folder / "checksums.txt").write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def main():
    match sys.argv[1:]:
        case ["sums", folder]:
            print(f"{os.environ['NAME']}={sums(pathlib.Path(folder))}")
        case ["collect", folder]:
            outputs = [value for name, value in os.environ.items() if name.startswith("SUMS_") and value]
            collect(pathlib.Path(folder), outputs)
        case ["checksums", folder]:
            write_checksums(pathlib.Path(folder))
        case _:
            sys.exit("usage: assets.py sums|collect|checksums FOLDER")


if __name__ == "__main__":
    main()
