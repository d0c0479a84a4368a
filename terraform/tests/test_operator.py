"""A new operator, from nothing to a broker that works: `setup`, `terraform apply` of exactly what it printed, `check`, `exec -- git
clone`, `key rotate`, and `check` again. Once with the key in KMS, and once with the key in SSM.

Terraform deploys into moto. SSM, KMS, STS, GitHub and Lambda's runtime are the sandbox, which describes and runs the function that moto
has. IAM is in both: after each apply, the test copies the role's policy from moto to the sandbox, which can simulate it.
"""

import html
import json
import re
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
import pytest

import rig
from test_tutorial import TARGET, answering_git, host_zip, publish
from tutorial import limited

CLIENT = TARGET / "debug" / "github-token-broker"
REPOSITORY = "octo-org/octo-repo"


class Sandbox:
    """`sandbox serve`, for the functions of moto, with keys and parameters of its own."""

    def __init__(self, aws_url: str, zips: Path, folder: Path):
        described = folder / "sandbox.json"
        command = [TARGET / "debug" / "sandbox", "serve", "--functions-from", aws_url, "--own-keys", "--zips", zips]
        command += ["--repository", REPOSITORY, "--key", folder / "other.pem", "--describe", described]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with limited(self.process.kill):
            assert self.process.stdout.readline(), "the sandbox ended"
        urls = json.loads(described.read_text())
        self.aws_url, self.github_host = urls["aws_url"], urls["github_host"]

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


class Operator:
    """What an operator has in front of them: the client, Terraform, and a browser."""

    def __init__(self, aws: rig.Aws, folder: Path, options: list[str]):
        self.aws, self.options = aws, options
        releases = rig.Releases(folder)
        self.zip = publish(releases, "v1.1.0", host_zip().read_bytes())
        self.workspace = rig.Workspace(folder / "work", aws, rig.VERSIONS[-1], releases, installed=True)
        (self.workspace.folder / "version_override.tf").unlink()  # the configuration states the versions
        self.workspace.environment |= answering_git(folder / "origin")
        self.sandbox = Sandbox(aws.url, self.zip.parent, folder)
        self.environment = self.workspace.environment | {
            "AWS_ENDPOINT_URL": self.sandbox.aws_url,
            "GH_HOST": self.sandbox.github_host,
            "GIT_TERMINAL_PROMPT": "0",
        }
        # git must find the sandbox's repository at its own address.
        for name in [name for name in self.environment if name.startswith("GIT_CONFIG_")]:
            del self.environment[name]

    @property
    def main(self) -> Path:
        return self.workspace.folder / "main.tf"

    def client(self, *arguments: str, given: str = "", status: int = 0) -> str:
        """Runs the client; returns its standard output."""
        done = subprocess.run(
            [CLIENT, *arguments], env=self.environment, cwd=self.workspace.folder, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def aws_of_sandbox(self, service: str):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.sandbox.aws_url, region_name=rig.REGION, **keys)

    def set_up(self) -> str:
        """Runs `setup`, and follows its pages as a browser does. Returns what it printed."""
        command = [CLIENT, "setup", "--no-browser", *self.options, REPOSITORY]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=self.environment, text=True, **pipes) as setup, limited(setup.kill):
            url = next(line for line in setup.stderr if line.startswith("Create the App: ")).split()[-1]
            page = browse(url)
            form = {"manifest": attribute(page, "value")}
            target = attribute(page, "action")
            assert "Create GitHub App" in browse(target, form)
            end = browse(target, form | {"confirmed": "1"})  # follows the redirect
            assert "Installed" in browse(attribute(end, 'class="button" href'), {"repository": REPOSITORY})
            printed, said = setup.communicate()
            assert setup.returncode == 0, said
        return printed

    def apply(self) -> str:
        """Applies, and makes the role known to the sandbox."""
        summary = self.workspace.apply()
        name = {"RoleName": "github-token-broker", "PolicyName": "github-token-broker-policy"}
        policy = self.aws.client("iam").get_role_policy(**name)["PolicyDocument"]
        self.aws_of_sandbox("iam").put_role_policy(**name, PolicyDocument=json.dumps(policy))
        return summary

    def check(self, *options: str, status: int = 0) -> dict:
        """All findings by their IDs."""
        checksums = str(self.zip.parent / "checksums.txt")
        report = json.loads(self.client("check", "--json", "--as-app", "--mint", "--checksums", checksums, *options, status=status))
        return {finding["id"]: finding for finding in report["checks"]}

    def new_key(self) -> str:
        """Generates a private key on the App's page, as a click does; returns the PEM."""
        return browse(f"http://{self.sandbox.github_host}/organizations/octo-org/settings/apps/octo-org-octo-repo-broker", {})

    def close(self) -> None:
        self.sandbox.close()


def browse(url: str, form: dict | None = None) -> str:
    data = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data, timeout=60) as response:
        return response.read().decode()


def attribute(page: str, name: str) -> str:
    return html.unescape(re.search(rf'{re.escape(name)}="([^"]*)"', page).group(1))


@pytest.fixture(scope="module", params=["kms", pytest.param("ssm", marks=pytest.mark.slow)])
def operator(request, _moto, tmp_path_factory):
    _moto.reset()
    options = []
    operator = Operator(_moto, tmp_path_factory.mktemp("operator"), options)
    if request.param == "ssm":
        key = operator.aws_of_sandbox("kms").create_key()["KeyMetadata"]["KeyId"]
        options += ["--ssm", "--kms-key-id", key]
    yield operator
    operator.close()


def test_setup_prints_a_configuration_that_is_formatted(operator):
    printed = operator.set_up()
    operator.main.write_text(printed)
    operator.workspace.run("fmt", "-check", "-diff")
    assert "PRIVATE KEY" not in printed
    pem = list(operator.workspace.folder.rglob("*.pem"))
    assert pem == [], "the key must not be on a disk"


def test_apply_of_exactly_that_deploys_the_broker(operator):
    operator.workspace.init()
    assert operator.apply() == "Resources: 5 added, 0 changed, 0 destroyed."  # one of them is the download
    deployed = operator.aws.function("github-token-broker")
    assert deployed["CodeSha256"] == rig.lambda_hash(operator.zip)
    assert operator.workspace.plan() == {}


def test_check_is_green(operator):
    found = operator.check()
    assert {finding["id"]: finding for finding in found.values() if finding["status"] != "pass"} == {}
    assert found["function.code"]["detail"] == "the code is github-token-broker.zip"
    expected = "kms.fingerprint" if not operator.options else "parameters.private_key"
    assert expected in found and "mint.token" in found and "app.permissions" in found


def test_git_clones_the_private_repository(operator):
    url = f"http://{operator.sandbox.github_host}/{REPOSITORY}"
    operator.client("exec", "--", "git", "clone", "--quiet", url, "clone")
    assert (operator.workspace.folder / "clone" / "README.md").read_text() == f"# {REPOSITORY}\n"
    without = subprocess.run(["git", "clone", url, "x"], env=operator.environment, cwd=operator.workspace.folder, capture_output=True, check=False)
    assert without.returncode != 0


def test_a_broken_deployment_is_found(operator):
    """Each misconfiguration has a test in the client's own suite. Here, one is made with Terraform."""
    before = operator.main.read_text()
    operator.main.write_text(before.replace('contents = "read"', 'contents = "write"'))
    operator.apply()
    found = operator.check(status=1)
    failed = {name: finding for name, finding in found.items() if finding["status"] == "fail"}
    assert set(failed) == {"app.permissions", "mint.token"}
    assert "contents=write" in failed["app.permissions"]["detail"]
    assert "add the permission" in failed["app.permissions"]["remedy"]
    operator.main.write_text(before)
    operator.apply()


def test_rotation_replaces_the_key(operator):
    report = json.loads(operator.client("key", "rotate", "--json", given=operator.new_key()))
    if not operator.options:
        # The module names the KMS key by its ARN, so Terraform switches the function over, in the steps that the command prints.
        old = operator.check()["kms.fingerprint"]["detail"]
        steps = [found.group(1) for step in report["left"] if (found := re.search(r"signing_key_arns = (\[.*?\])", step))]
        assert [len(json.loads(arns)) for arns in steps] == [2, 2, 1]
        for number, arns in enumerate(steps):
            operator.main.write_text(re.sub(r"(signing_key_arns += ).*", lambda line, arns=arns: line[1] + arns, operator.main.read_text()))
            operator.apply()
            found = operator.check()
            assert found["mint.token"]["status"] == "pass"
            assert (found["kms.fingerprint"]["detail"] == old) == (number == 0)
        assert found["kms.fingerprint"]["detail"].startswith(report["fingerprint"])
    else:
        stored = operator.client("key", "fingerprint", "--ssm", "/github-token-broker/app/private-key-pem")
        assert stored.strip() == report["fingerprint"]


def test_check_is_green_again(operator):
    assert [finding for finding in operator.check().values() if finding["status"] != "pass"] == []


def test_clean_up_leaves_nothing(operator):
    assert "destroyed" in operator.workspace.destroy()
    assert operator.aws.left() == {}
