"""Runs the release's own make targets against a stand-in for `gh`, so that they are tested before the first tag.

Input: the Makefile. Output: a line for each check, and `N passed, N failed`. The stand-in keeps one release and a list of signed
files in a folder. It accepts whatever GitHub accepts, so that these checks have to notice what must not happen.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

from assets import CLIENT, FUNCTION, client_files, function_files, release_files

PACKAGE = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]
VERSION, SLUG = PACKAGE["version"], PACKAGE["repository"].removeprefix("https://github.com/")
STAND_IN = f"""#!{sys.executable}
import json, pathlib, sys
home = pathlib.Path(__file__).parent
given, release = sys.argv[1:], json.loads((home / "release.json").read_text())
(home / "calls").open("a").write(" ".join(given) + "\\n")
match given[:2]:
    case ["release", "view"]:
        if (home / "offline").exists():
            sys.exit("error connecting to api.github.com")
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
        if "--cert-identity" in given and "--signer-workflow" in given:
            sys.exit("--cert-identity and --signer-workflow exclude each other")
    case _:
        sys.exit("the stand-in for gh does not know this")
(home / "release.json").write_text(json.dumps(release))
"""
BUILT = release_files()
ARCHIVES = [name for name in BUILT if name.endswith((".zip", ".tar.gz"))]
SIGNED = [f"provenance:{name}" for name in [*BUILT, "checksums.txt"]] + [f"sbom:{name}" for name in ARCHIVES]
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

    @contextlib.contextmanager
    def offline(self):
        """`gh` cannot reach GitHub."""
        (self.home / "offline").touch()
        yield
        (self.home / "offline").unlink()

    def calls(self, command):
        return [line for line in (self.home / "calls").read_text().splitlines() if line.startswith(command)]

    def sums(self):
        done = subprocess.run(["sha256sum", "--check", "checksums.txt"], cwd=self.home / "dist", stdout=subprocess.PIPE, text=True)
        return sorted(line.removesuffix(": OK") for line in done.stdout.splitlines())

    def outputs(self):
        """What each build job hands over: the checksums of its own files, printed by the target that the workflow uses."""
        outputs = {}
        for number, files in enumerate([*map(function_files, FUNCTION), *map(client_files, CLIENT)]):
            job = self.home / f"job-{number}"
            job.mkdir(exist_ok=True)
            for name in files:
                (job / name).write_text(name)
            command = ["make", "--silent", "release-sums", f"DIST={job}"]
            printed = subprocess.run(command, env=os.environ | {"NAME": "x86_64", "MAKEFLAGS": ""}, stdout=subprocess.PIPE, text=True)
            outputs[f"SUMS_{number}"] = printed.stdout.strip().removeprefix("x86_64=")
        return outputs

    def make(self, target, *variables, tag=f"v{VERSION}", sums=None):
        environment = os.environ | {"RELEASE_TAG": tag, "MAKEFLAGS": "", "GITHUB_SHA": "0123abcd"} | (sums or {})
        command = ["make", "--silent", target, f"GH={self.home}/gh", f"DIST={self.home}/dist", *variables]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.printed = done.stdout
        return done.returncode == 0


def check(holds, what):
    print("ok    " if holds else "FAILED", what)
    CHECKS.append(bool(holds))


def main():
    with tempfile.TemporaryDirectory() as folder:
        release = Repository(pathlib.Path(folder))
        dist, sums = release.home / "dist", release.outputs()
        check_collect(release, dist, sums)
        check(not release.make("release-draft", tag="v0.0.0") and not release.calls(""), "a tag that is not the version is rejected before gh runs")
        check(not release.make("release-draft", tag="v1;true") and not release.calls(""), "a tag that is a command is rejected")
        check(not release.make("release-check", "VERSION=9.9.9", tag="v9.9.9"), "a version without an entry in the changelog is rejected")
        check(not release.make("release-publish", sums=sums) and not release.calls("release upload"), "nothing is published without a draft")
        with release.offline():
            made = release.make("release-draft") or release.make("release-publish", sums=sums)
            check(not made and release.calls("release view") and not release.calls("release create"), "without a network, no release is created")
            check("error connecting to api.github.com" in release.printed, "the network failure is reported, not a missing release")
        check(release.make("release-draft") and release.release()["isDraft"], "the release begins as a draft")
        check(release.release()["tag"] == f"v{VERSION}" and len(release.release()["notes"]) > 20, "its notes are those of the changelog")
        check("--verify-tag" in release.calls("release create")[0], "gh does not create a tag")
        check(release.make("release-draft") and len(release.calls("release create")) == 1, "a second run keeps the draft")
        for lost in SIGNED:
            (release.home / "signed").write_text(" ".join(s for s in SIGNED if s != lost))
            release.forget()
            check(not release.make("release-publish", sums=sums) and not release.calls("release upload"), f"without {lost}, nothing is uploaded")
        check(release.release()["isDraft"], "the draft stays a draft")
        with release.offline():
            release.forget()
            check(not release.make("release-publish", sums=sums) and not release.calls("release upload"), "without a network, nothing is uploaded")
        (release.home / "signed").write_text(" ".join(SIGNED))
        check(not release.make("release-publish") and not release.calls("release upload"), "without the checksums of the build jobs, nothing is uploaded")
        check(release.make("release-publish", sums=sums) and not release.release()["isDraft"], "with all of them, the release is published")
        check(sorted(release.release()["files"]) == sorted(["checksums.txt", *BUILT]), "it has every file of dist")
        workflow = f"--cert-identity https://github.com/{SLUG}/.github/workflows/release.yml@refs/tags/v{VERSION}"
        exact = (workflow, f"--source-ref refs/tags/v{VERSION}", "--source-digest 0123abcd", "--deny-self-hosted-runners")
        for flag in exact:
            check(all(f" {flag}" in call for call in release.calls("attestation verify")), f"every verification has {flag}")
        release.forget()
        check(not release.make("release-publish", sums=sums) and not release.calls("release upload"), "a published release is never changed")
        check(not release.make("release-draft") and not release.calls("release create"), "a published release gets no second draft")
    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def check_collect(release, dist, sums):
    """What another job of the run can do to the artifacts, and what must come of it."""
    check(release.make("release-collect", sums=sums), "the files that the build jobs made are accepted")
    checksums = sorted([*release.sums(), ""])[1:]
    check(checksums == BUILT, "checksums.txt has each of them, and sha256sum agrees")
    victim = dist / "github-token-broker.zip"
    for name in ("x.zip", "github-token-broker-cli-x86_64-unknown-linux-gnu.tar.gz", "-rf"):
        (dist / name).write_text("from another job")
        check(not release.make("release-collect", sums=sums) and name in release.printed, f"an unknown file {name} is rejected")
        (dist / name).unlink()
    victim.write_text("replaced")
    check(not release.make("release-collect", sums=sums) and victim.name in release.printed, "a replaced file is rejected")
    victim.unlink()
    check(not release.make("release-collect", sums=sums) and victim.name in release.printed, "a missing file is rejected")
    victim.write_text(victim.name)
    for lost in sums:
        fewer = {name: value for name, value in sums.items() if name != lost}
        check(not release.make("release-collect", sums=fewer), f"a build job without an output is noticed: {lost}")
    forged = sums | {"SUMS_9": json.dumps({victim.name: "0" * 64})}
    check(not release.make("release-collect", sums=forged), "two different checksums for one file are rejected")
    check(release.make("release-collect", sums=sums), "the original files are accepted again")


if __name__ == "__main__":
    main()
