"""A stand-in for the GitHub CLI, for tests: the three commands that the module and the tutorial use, from files and loopback.

In: GH_RELEASES, a folder `<owner>/<name>/<tag>/` of released files, and GH_API_URL, a GitHub API on loopback.
`release download` copies what the patterns name; `attestation verify` accepts a file of which a line `SHA-256 workflow ref` in
`<owner>/<name>/attested` says what signed it, and narrows by workflow and ref only when asked to, as the real one does; `api`
makes the request. Its arguments are appended to GH_LOG, when that is set.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path


def fail(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(1)


def release_download(given: argparse.Namespace) -> None:
    folder = Path(os.environ["GH_RELEASES"]) / given.repo / given.what
    if not folder.is_dir():
        fail("release not found")
    found = [path for path in folder.iterdir() if any(fnmatch.fnmatch(path.name, p) for p in given.pattern)]
    if not found:
        fail("no assets match the file pattern")
    for path in found:
        shutil.copy(path, given.dir)


def attestation_verify(given: argparse.Namespace) -> None:
    attested = Path(os.environ["GH_RELEASES"]) / given.repo / "attested"
    digest = hashlib.sha256(Path(given.what).read_bytes()).hexdigest()
    signed = [line.split() for line in attested.read_text().splitlines()] if attested.is_file() else []
    asked = (digest, given.signer_workflow, given.source_ref)
    if not any(all(want in (None, has) for want, has in zip(asked, line)) for line in signed):
        fail("Error: no attestations found")


def api(given: argparse.Namespace) -> None:
    """With the token in GH_TOKEN, where that is set; what is printed can be filtered by `--jq`."""
    headers = dict(header.split(": ", 1) for header in given.header)
    headers.setdefault("Accept", "application/vnd.github+json")
    if token := os.environ.get("GH_TOKEN"):
        headers.setdefault("Authorization", f"token {token}")
    url = f"{os.environ['GH_API_URL']}/{given.what.lstrip('/')}"
    request = urllib.request.Request(url, headers={"User-Agent": "GitHub CLI", **headers}, method=given.method)
    try:
        with urllib.request.urlopen(request) as answer:
            body = answer.read().decode()
        sys.stdout.write(f"{filtered(body, given.jq)}\n" if given.jq else body)
    except urllib.error.HTTPError as error:
        sys.stdout.write(error.read().decode())
        fail(f"gh: HTTP {error.code}")


def filtered(body: str, program: str) -> str:
    import jq  # not needed by the other commands

    result = jq.compile(program).input_text(body).first()
    return result if isinstance(result, str) else json.dumps(result)


def main() -> None:
    if log := os.environ.get("GH_LOG"):
        with open(log, "a", encoding="utf-8") as lines:
            lines.write(" ".join(sys.argv[1:]) + "\n")
    parser = argparse.ArgumentParser()
    parser.add_argument("command", nargs="+")
    parser.add_argument("--repo")
    parser.add_argument("--dir", default=".")
    parser.add_argument("--signer-workflow")
    parser.add_argument("--source-ref")
    parser.add_argument("--pattern", action="append", default=[])
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-X", "--method", default="GET")
    parser.add_argument("--jq")
    given = parser.parse_intermixed_args()
    given.what = given.command[-1]
    match given.command[:-1]:
        case ["release", "download"]:
            release_download(given)
        case ["attestation", "verify"]:
            attestation_verify(given)
        case ["api"]:
            api(given)
        case other:
            fail(f"the stand-in for gh does not know {' '.join(other)!r}")


if __name__ == "__main__":
    main()
