"""Runs the release's own make targets against a stand-in for `gh`, so that they are tested before the first tag.

In: the Makefile. Out: a line for each check, and `N passed, N failed`. The stand-in keeps one release and one list of
signed files in a folder, and lets everything through that GitHub lets through: what must not happen is held by these checks.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

VERSION = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
STAND_IN = f"""#!{sys.executable}
import json, pathlib, sys
home = pathlib.Path(__file__).parent
given, release = sys.argv[1:], json.loads((home / "release.json").read_text())
(home / "calls").open("a").write(" ".join(given) + "\\n")
match given[:2]:
    case ["release", "view"]:
        if not release:
            sys.exit("release not found")
        print(json.dumps(release["isDraft"]))
    case ["release", "create"]:
        notes = pathlib.Path(given[given.index("--notes-file") + 1]).read_text()
        release = {{"isDraft": "--draft" in given, "tag": given[2], "notes": notes, "files": []}}
    case ["release", "upload"]:
        release["files"] += [pathlib.Path(name).name for name in given[3:] if not name.startswith("--")]
    case ["release", "edit"]:
        release["isDraft"] = "--draft=false" not in given
    case ["attestation", "verify"]:
        signed = (home / "signed").read_text().split()
        kind = "sbom" if "https://cyclonedx.org/bom" in given else "provenance"
        if f"{{kind}}:{{pathlib.Path(given[2]).name}}" not in signed:
            sys.exit("no attestations found")
    case _:
        sys.exit("the stand-in for gh does not know this")
(home / "release.json").write_text(json.dumps(release))
"""
BUILT = ["github-token-broker-x86_64.zip", "github-token-broker.NOTICES.txt", "github-token-broker.cdx.json", "github-token-broker.zip"]
SIGNED = [f"{kind}:{name}" for name in BUILT if name.endswith(".zip") for kind in ("provenance", "sbom")]
CHECKS = []


class Repository:
    """A folder with the stand-in, the one release it knows, and what a release would publish."""

    def __init__(self, folder: pathlib.Path):
        self.home = folder
        (folder / "gh").write_text(STAND_IN)
        (folder / "gh").chmod(0o755)
        (folder / "dist").mkdir()
        for name in BUILT:
            (folder / "dist" / name).write_text(name)
        (folder / "release.json").write_text("null")
        (folder / "signed").write_text(" ".join(SIGNED))
        self.forget()

    def release(self):
        return json.loads((self.home / "release.json").read_text())

    def forget(self):
        (self.home / "calls").write_text("")

    def calls(self, command):
        return [line for line in (self.home / "calls").read_text().splitlines() if line.startswith(command)]

    def sums(self):
        done = subprocess.run(["sha256sum", "--check", "checksums.txt"], cwd=self.home / "dist", stdout=subprocess.PIPE, text=True)
        return sorted(line.removesuffix(": OK") for line in done.stdout.splitlines())

    def make(self, target, tag=f"v{VERSION}", *variables):
        environment = os.environ | {"RELEASE_TAG": tag, "MAKEFLAGS": ""}
        command = ["make", "--silent", target, f"GH={self.home}/gh", f"DIST={self.home}/dist", *variables]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode == 0


def check(holds, what):
    print("ok    " if holds else "FAILED", what)
    CHECKS.append(bool(holds))


def main():
    with tempfile.TemporaryDirectory() as folder:
        ours = Repository(pathlib.Path(folder))
        check(not ours.make("release-draft", "v0.0.0") and not ours.calls(""), "a tag that is not the version is refused before gh is asked")
        check(not ours.make("release-draft", "v1;true") and not ours.calls(""), "so is a tag that is a command")
        check(not ours.make("release-check", "v9.9.9", "VERSION=9.9.9"), "a version that the changelog does not speak of is refused")
        check(not ours.make("release-publish") and not ours.calls("release upload"), "nothing is published without a draft")
        check(ours.make("checksums") and ours.sums() == BUILT, "checksums.txt names what was built, and sha256sum agrees")
        check(ours.make("release-draft") and ours.release()["isDraft"], "the release begins as a draft")
        check(ours.release()["tag"] == f"v{VERSION}" and len(ours.release()["notes"]) > 20, "its notes are the changelog's")
        check("--verify-tag" in ours.calls("release create")[0], "it makes no tag of its own")
        check(ours.make("release-draft") and len(ours.calls("release create")) == 1, "a second run takes the draft that is there")
        for lost in SIGNED:
            (ours.home / "signed").write_text(" ".join(s for s in SIGNED if s != lost))
            ours.forget()
            check(not ours.make("release-publish") and not ours.calls("release upload"), f"without {lost} nothing is uploaded")
        check(ours.release()["isDraft"], "and the draft stays a draft")
        (ours.home / "signed").write_text(" ".join(SIGNED))
        check(ours.make("release-publish") and not ours.release()["isDraft"], "with all of them it is published")
        check(sorted(ours.release()["files"]) == sorted(["checksums.txt", *BUILT]), "with every file of dist")
        asked = (ours.calls("attestation verify") or [""])[-1]
        check("/.github/workflows/release.yml" in asked and f"--source-ref refs/tags/v{VERSION}" in asked, "by the release's workflow on this tag")
        ours.forget()
        check(not ours.make("release-publish") and not ours.calls("release upload"), "a published release is never changed")
        check(not ours.make("release-draft") and not ours.calls("release create"), "nor drafted again")
    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
