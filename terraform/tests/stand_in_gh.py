"""A stand-in for the GitHub CLI, for tests: the commands that the module and the tutorial use, with files and loopback.

Input: GH_RELEASES, a folder `<owner>/<name>/<tag>/` of release files, and GH_API_URL, a GitHub API on loopback.
`release download` copies the files that the patterns name; `release view` lists them. `attestation verify` accepts a file if a line
`SHA-256 identity runner` in `<owner>/<name>/attested` matches, and compares the identity and the runner only if its options require
it, like the real one. `api` makes the request. The arguments are appended to GH_LOG, if set. GH_OFFLINE makes each call fail, as
without a network.
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


def release(given: argparse.Namespace) -> Path:
    if os.environ.get("GH_OFFLINE"):
        fail("error connecting to api.github.com")
    folder = Path(os.environ["GH_RELEASES"]) / given.repo / given.what
    if not folder.is_dir():
        fail("release not found")
    return folder


def release_download(given: argparse.Namespace) -> None:
    found = [path for path in release(given).iterdir() if any(fnmatch.fnmatch(path.name, p) for p in given.pattern)]
    if not found:
        fail("no assets match the file pattern")
    for path in found:
        shutil.copy(path, given.dir)


def release_view(given: argparse.Namespace) -> None:
    names = sorted(path.name for path in release(given).iterdir())
    print(filtered(json.dumps({given.json: [{"name": name} for name in names]}), given.jq))


def attestation_verify(given: argparse.Namespace) -> None:
    attested = Path(os.environ["GH_RELEASES"]) / given.repo / "attested"
    digest = hashlib.sha256(Path(given.what).read_bytes()).hexdigest()
    signed = [line.split() for line in attested.read_text().splitlines()] if attested.is_file() else []
    wanted = (digest, given.cert_identity, "github-hosted" if given.deny_self_hosted_runners else None)
    if not any(all(want in (None, has) for want, has in zip(wanted, line)) for line in signed):
        fail("Error: no attestations found")


def api(given: argparse.Namespace) -> None:
    """Sends the token in GH_TOKEN, if set; `--jq` filters what is printed."""
    headers = dict(header.split(": ", 1) for header in given.header)
    headers.setdefault("Accept", "application/vnd.github+json")
    if token := os.environ.get("GH_TOKEN"):
        headers.setdefault("Authorization", f"token {token}")
    url = f"{os.environ['GH_API_URL']}/{given.what.lstrip('/')}"
    request = urllib.request.Request(url, headers={"User-Agent": "GitHub CLI", **headers}, method=given.method)
    try:
        with urllib.request.urlopen(request) as response:
            body = response.read().decode()
        sys.stdout.write(f"{filtered(body, given.jq)}\n" if given.jq else body)
    except urllib.error.HTTPError as error:
        sys.stdout.write(error.read().decode())
        fail(f"gh: HTTP {error.code}")


def filtered(body: str, program: str) -> str:
    import jq  # the other commands do not need it

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
    parser.add_argument("--json")
    parser.add_argument("--cert-identity")
    parser.add_argument("--deny-self-hosted-runners", action="store_true")
    parser.add_argument("--pattern", action="append", default=[])
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-X", "--method", default="GET")
    parser.add_argument("--jq")
    given = parser.parse_intermixed_args()
    given.what = given.command[-1]
    match given.command[:-1]:
        case ["release", "download"]:
            release_download(given)
        case ["release", "view"]:
            release_view(given)
        case ["attestation", "verify"]:
            attestation_verify(given)
        case ["api"]:
            api(given)
        case other:
            fail(f"the stand-in for gh does not support {' '.join(other)!r}")


if __name__ == "__main__":
    main()
