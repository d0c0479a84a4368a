"""Everything that a reader of the how-to pages has in front of them, on loopback: AWS and GitHub by the sandbox, a git host,
the AWS CLI, `gh`, `jq`, and a shell that stays open.

In: a folder. Out: a `Desk`, on which pages can be followed. Never: a variable of AWS's or GitHub's from outside.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.request
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError

import rig
from book import ROOT
from tutorial import Page, Reader, limited

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
OF_SERVICES = re.compile(r"AWS_|GITHUB_|GH_|GIT_|MAKE|MFLAGS")


class Terminal(Reader):
    """A shell that stays open: what one block sets, and where it goes, the next one finds. GitHub's own address becomes that of
    GH_API_URL."""

    def run(self, commands: str, where: str = "") -> str:
        self.environment["TERMINAL"] = str(self.folder.with_name(f"{self.folder.name}.state"))
        commands = commands.replace("https://api.github.com", self.environment.get("GH_API_URL", ""))
        before = 'set -a; [ ! -f "$TERMINAL" ] || . "$TERMINAL"; cd "$PWD"'
        return super().run(f'{before}\n{commands}\nexport -p > "$TERMINAL"\n', where)

    def value(self, variable: str) -> str:
        """What a variable of the shell holds."""
        return self.run(f'printf %s "${variable}"')


def programs(folder: Path) -> dict:
    """An environment with the programs that the pages use, and nothing that speaks of a real account."""
    folder.mkdir()
    rig.put_program(folder / "gh", "stand_in_gh.py")
    rig.put_program(folder / "aws", "stand_in_aws.py")
    if shutil.which("jq") is None:
        rig.put_program(folder / "jq", "stand_in_jq.py")
    environment = {name: value for name, value in os.environ.items() if not OF_SERVICES.match(name)} | rig.NEUTRAL
    return environment | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}


class Desk:
    """The broker of the tutorial, deployed in the sandbox; its three parameters are put as the tutorial says."""

    def __init__(self, folder: Path):
        with ExitStack() as what_is_up:
            self.set_up(folder, what_is_up)
            self.close = what_is_up.pop_all().close

    def set_up(self, folder: Path, what_is_up: ExitStack) -> None:
        work = folder / "work"
        work.mkdir()
        described, key = folder / "described.json", work / "key.pem"
        command = [TARGET / "debug" / "sandbox", "serve", "--describe", described, "--key", key]
        command += ["--client-id", "Iv23li...", "--installation-id", "12345678"]
        command += ["--repository", "your-org/your-repo", "--repository", "your-org/your-other-repo"]
        self.sandbox = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        what_is_up.callback(self.end_sandbox)
        with limited(self.sandbox.kill):
            assert self.sandbox.stdout.readline(), "the sandbox ended"  # all is up once it speaks
        urls = json.loads(described.read_text())
        self.github_url = urls["github_url"]
        self.git = git_host(folder / "git", self.github_url)
        what_is_up.callback(self.end_git)
        environment = programs(folder / "bin") | rig.CREDENTIALS
        environment |= {"AWS_ENDPOINT_URL": urls["aws_url"], "GH_API_URL": self.github_url}
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.http://127.0.0.1:{self.git.server_port}/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/",
            "GIT_TERMINAL_PROMPT": "0",
        }
        self.terminal = Terminal(work, environment)
        self.terminal.follow(Page("tutorials/deploy-your-first-broker.md"), "Step 1")

    def status(self, path: str, token: str) -> int:
        """What GitHub answers to a request with a token."""
        request = urllib.request.Request(f"{self.github_url}{path}", headers=headers(token))
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except HTTPError as error:
            return error.code

    def put_installation(self, number: str) -> None:
        self.terminal.run(
            "aws ssm put-parameter --name /github-token-broker/app/installation-id"
            f" --type String --value {number} --overwrite"
        )

    def end_git(self) -> None:
        self.git.shutdown()
        self.git.server_close()

    def end_sandbox(self) -> None:
        self.sandbox.terminate()
        self.sandbox.communicate(timeout=60)
        assert self.sandbox.returncode == 0


def headers(token: str) -> dict:
    return {"Accept": "application/vnd.github+json", "User-Agent": "docs", "Authorization": f"token {token}"}


class GitHost(SimpleHTTPRequestHandler):
    """A repository over HTTP, for whoever has a token that GitHub lets read it."""

    def __init__(self, *arguments, github_url: str, **named):
        self.github_url = github_url
        super().__init__(*arguments, **named)

    def do_GET(self):
        if self.may_read():
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def may_read(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, token = base64.b64decode(given).decode().partition(":")
        repository = "/".join(self.path.split("/")[1:3])
        request = urllib.request.Request(f"{self.github_url}/repos/{repository}", headers=headers(token))
        try:
            return user == "x-access-token" and urllib.request.urlopen(request).status == 200
        except HTTPError:
            return False

    def log_message(self, *_):
        pass


def git_host(folder: Path, github_url: str) -> ThreadingHTTPServer:
    """Serves `your-org/your-repo`, with one commit in it, on a free port."""
    bare, work = folder / "your-org" / "your-repo", folder / "work"
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (
        ["init", "--quiet", work],
        ["-C", work, *identity, "commit", "--quiet", "--allow-empty", "--message", "one"],
        ["clone", "--quiet", "--bare", work, bare],
        ["-C", bare, "update-server-info"],
    ):
        subprocess.run(["git", *command], check=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(GitHost, directory=folder, github_url=github_url))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
