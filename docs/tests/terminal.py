"""What a reader of the how-to pages has in front of them, on loopback: AWS and GitHub by the sandbox, the AWS CLI,
`gh`, `jq`, and a shell that stays open.

Input: a folder. Output: a `Deployment`, on which tests follow pages. Invariant: no AWS or GitHub variable comes from outside.
"""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError

import rig
from book import ROOT
from tutorial import Page, Reader, limited

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SERVICE_VARIABLES = re.compile(r"AWS_|GITHUB_|GH_|GIT_|MAKE|MFLAGS")


class Terminal(Reader):
    """A shell that stays open: a block sees the variables and the folder that the previous block set. The addresses of GitHub are
    replaced by those of GH_API_URL and GH_HOST."""

    def run(self, commands: str, where: str = "") -> str:
        self.environment["TERMINAL"] = str(self.folder.with_name(f"{self.folder.name}.state"))
        commands = commands.replace("https://api.github.com", self.environment.get("GH_API_URL", ""))
        commands = commands.replace("https://github.com/", f"http://{self.environment.get('GH_HOST')}/")
        before = 'set -a; [ ! -f "$TERMINAL" ] || . "$TERMINAL"; cd "$PWD"'
        return super().run(f'{before}\n{commands}\nexport -p > "$TERMINAL"\n', where)

    def value(self, variable: str) -> str:
        """The value of a shell variable."""
        return self.run(f'printf %s "${variable}"')


def programs(folder: Path) -> dict:
    """An environment with the programs that the pages use, a home folder next to them, and without any trace of a real account."""
    folder.mkdir()
    home = folder.with_name("home")
    home.mkdir()
    rig.put_program(folder / "stand-in-gh", "stand_in_gh.py")
    # Like gh itself, which reads another variable for a host that is not github.com.
    write_program(folder / "gh", 'GH_TOKEN="${GH_TOKEN:-${GH_ENTERPRISE_TOKEN:-}}" exec stand-in-gh "$@"')
    rig.put_program(folder / "aws", "stand_in_aws.py")
    (folder / "github-token-broker").symlink_to(TARGET / "debug" / "github-token-broker")
    if shutil.which("jq") is None:
        rig.put_program(folder / "jq", "stand_in_jq.py")
    environment = {name: value for name, value in os.environ.items() if not SERVICE_VARIABLES.match(name)} | rig.NEUTRAL
    # A page can run make and cargo, whose compiler is in the real home folder.
    environment = {"CARGO_HOME": str(Path.home() / ".cargo"), "RUSTUP_HOME": str(Path.home() / ".rustup")} | environment
    return environment | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": private_folder(folder.with_name("run")),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def write_program(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


class Deployment:
    """The broker of the tutorial, deployed in the sandbox, with its three parameters created as the tutorial says."""

    def __init__(self, folder: Path):
        with ExitStack() as running:
            self.set_up(folder, running)
            self.close = running.pop_all().close

    def set_up(self, folder: Path, running: ExitStack) -> None:
        work = folder / "work"
        work.mkdir()
        described, self.key = folder / "described.json", work / "key.pem"
        command = [TARGET / "debug" / "sandbox", "serve", "--describe", described, "--key", self.key]
        command += ["--client-id", "Iv23li...", "--installation-id", "12345678"]
        command += ["--repository", "your-org/your-repo", "--repository", "your-org/your-other-repo"]
        self.scratch = Path(private_folder(folder / "sandbox"))
        self.sandbox = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(self.scratch)})
        running.callback(self.end_sandbox)
        with limited(self.sandbox.kill):
            assert self.sandbox.stdout.readline(), "the sandbox ended"  # it prints only when all servers are up
        urls = json.loads(described.read_text())
        self.github_url = urls["github_url"]
        environment = programs(folder / "bin") | rig.CREDENTIALS
        environment |= {
            "AWS_ENDPOINT_URL": urls["aws_url"],
            "GH_API_URL": self.github_url,
            "GH_HOST": urls["github_host"],
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        }
        self.terminal = Terminal(work, environment)
        self.terminal.follow(Page("tutorials/deploy-your-first-broker.md"), "Step 1")

    def status(self, path: str, token: str) -> int:
        """GitHub's status for a request with a token."""
        request = urllib.request.Request(f"{self.github_url}{path}", headers=headers(token))
        try:
            with urllib.request.urlopen(request) as response:
                return response.status
        except HTTPError as error:
            return error.code

    def set_installation(self, number: str) -> None:
        self.terminal.run(
            "aws ssm put-parameter --name /github-token-broker/app/installation-id"
            f" --type String --value {number} --overwrite"
        )

    def push(self, folder: Path, tag: str) -> None:
        """Commits the files of a folder to the private repository, without GitHub."""
        self.terminal.run("github-token-broker exec -- git ls-remote https://github.com/your-org/your-repo")  # the sandbox creates it
        repositories = self.scratch.glob("*/*.git")
        (bare,) = [path for path in repositories if git(path, "show", "main:README.md") == "# your-org/your-repo\n"]
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "add", ".")
        git(folder, "-c", "user.name=octo", "-c", "user.email=octo@example.com", "commit", "--quiet", "--message=package")
        git(folder, "push", "--quiet", str(bare), "+main", f"main:refs/tags/{tag}")

    def end_sandbox(self) -> None:
        self.sandbox.terminate()
        self.sandbox.communicate(timeout=60)
        assert self.sandbox.returncode == 0


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def private_folder(path: Path) -> str:
    path.mkdir(mode=0o700)
    return str(path)


def headers(token: str) -> dict:
    return {"Accept": "application/vnd.github+json", "User-Agent": "docs", "Authorization": f"token {token}"}
