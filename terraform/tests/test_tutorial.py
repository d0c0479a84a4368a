"""The tutorial and two how-tos, run from their pages, from an empty directory to an empty account.

AWS is moto. Lambda's runtime and GitHub are the repository's sandbox, which runs the function with the configuration and hash that moto
has. The zip is the one that `make package` built for this machine's processor, published under the name that the page's module downloads.
Each step is a test; they run in order with one `Reader`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import rig
from tutorial import RAN, Page, Reader, assert_like, assert_printed, limited

ROOT = rig.MODULE.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TUTORIAL = Page("tutorials/deploy-your-first-broker.md")
ROTATE = Page("how-to/rotate-the-private-key.md")
RETARGET = Page("how-to/change-the-target-repository.md")
ADDRESS = "https://github.com/meigma/github-token-broker"


class Sandbox:
    """`sandbox serve`: Lambda's runtime for the functions that moto knows, and GitHub."""

    def __init__(self, aws_url: str, zips: list[Path], key: Path):
        command = [TARGET / "debug" / "sandbox", "serve", "--functions-from", aws_url]
        command += [argument for folder in zips for argument in ("--zips", folder)]
        command += ["--client-id", "Iv23li...", "--installation-id", "12345678", "--key", key]
        command += ["--repository", "your-org/your-repo", "--repository", "your-org/your-other-repo"]
        described = key.with_suffix(".json")
        self.process = subprocess.Popen([*command, "--describe", described], stdout=subprocess.PIPE, text=True)
        with limited(self.process.kill):
            assert self.process.stdout.readline(), "the sandbox ended"  # everything is ready after this line
        self.urls = json.loads(described.read_text())
        described.unlink()

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


class Desk:
    """Everything that the reader of the pages uses."""

    def __init__(self, aws: rig.Aws, folder: Path):
        self.aws, self.folder, self.sandboxes = aws, folder, []
        self.releases = rig.Releases(folder)
        self.published = publish(self.releases, "v1.1.0", host_zip().read_bytes())
        self.zips = [self.published.parent, self.releases.publish("v1.1.1")]
        for name in ("aws", "jq"):
            if name == "aws" or shutil.which("jq") is None:
                rig.put_program(self.releases.bin / name, f"stand_in_{name}.py")
        # The page's commands say `tofu`. It must be the tool under test, even if both are installed.
        (self.releases.bin / "tofu").symlink_to(rig.TOOL)
        self.workspace = rig.Workspace(folder / "work", aws, rig.VERSIONS[-1], self.releases, installed=True)
        (self.workspace.folder / "version_override.tf").unlink()  # the page states the versions
        self.reader = Reader(self.workspace.folder, self.workspace.environment)
        self.reader.environment |= answering_git(folder / "origin")
        self.github_starts_with(self.workspace.folder / "key.pem")

    def github_starts_with(self, key: Path) -> None:
        """Starts a GitHub whose App has one private key, which is new and in this file."""
        self.sandboxes.append(Sandbox(self.aws.url, self.zips, key))
        self.reader.environment |= {
            "STANDIN_LAMBDA_URL": self.sandboxes[-1].urls["aws_url"],
            "GH_API_URL": self.sandboxes[-1].urls["github_url"],
            "FUNCTION": "github-token-broker",
            "KEY_PARAMETER": "/github-token-broker/app/private-key-pem",
        }

    def invoke(self, payload: str = "null") -> dict:
        """Runs the page's invocation, with a different payload if given; returns the response."""
        self.reader.run(TUTORIAL.under("Step 4")[0].text.replace("'null'", f"'{payload}'"))
        return json.loads((self.reader.scratch / "out.json").read_text())

    def close(self) -> None:
        for sandbox in self.sandboxes:
            sandbox.close()


def host_zip() -> Path:
    """The zip of `make build` for this machine's processor."""
    packed = Path(os.environ["TEST_ZIPS"]) / f"github-token-broker{'' if os.uname().machine == 'aarch64' else '-x86_64'}.zip"
    assert packed.exists(), f"{packed} does not exist: `make test-terraform` writes it"
    return packed


def publish(releases: rig.Releases, tag: str, content: bytes) -> Path:
    folder = releases.publish(tag)
    path = folder / "github-token-broker.zip"
    path.write_bytes(content)
    (folder / "checksums.txt").write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
    return path


def answering_git(folder: Path) -> dict:
    """Creates a repository with this checkout as tag v1.1.0; returns the environment in which git finds it at the page's address."""
    shutil.copytree(rig.MODULE, folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "__pycache__"))
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for arguments in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "-m", "x"], ["tag", "v1.1.0"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{folder}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"{ADDRESS}.git",
    }


@pytest.fixture(scope="module")
def desk(_moto, tmp_path_factory):
    _moto.reset()
    desk = Desk(_moto, tmp_path_factory.mktemp("tutorial"))
    yield desk
    desk.close()


def test_step_1_stores_the_parameters(desk):
    desk.reader.follow(TUTORIAL, "Step 1")
    parameters = desk.aws.client("ssm").describe_parameters()["Parameters"]
    assert {p["Name"].rsplit("/", 1)[1]: p["Type"] for p in parameters} == {
        "client-id": "String",
        "installation-id": "String",
        "private-key-pem": "SecureString",
    }


def test_steps_2_and_3_deploy_the_release(desk):
    (main,) = TUTORIAL.under("Step 2")
    (desk.reader.folder / "main.tf").write_text(main.text)
    printed = desk.reader.follow(TUTORIAL, "Step 3")
    assert "github-token-broker.zip: OK" in printed, "the download was not compared with its checksum"
    downloaded, created = printed.index("Provisioning with 'local-exec'"), printed.index("aws_iam_role.lambda: Creating")
    assert downloaded < created
    assert desk.aws.function("github-token-broker")["CodeSha256"] == rig.lambda_hash(desk.published)


def test_the_role_has_the_policy_on_the_page(desk):
    page = Page("reference/iam-policy.md")
    (policy,), (trust,) = ([json.loads(b.text) for b in page.under(title)] for title in ("By default", "Who can assume the role"))
    iam = desk.aws.client("iam")
    found = iam.get_role_policy(RoleName="github-token-broker", PolicyName="github-token-broker-policy")
    assert found["PolicyDocument"] == policy
    assert iam.get_role(RoleName="github-token-broker")["Role"]["AssumeRolePolicyDocument"] == trust


def test_step_4_mints_a_token_that_works(desk):
    desk.reader.follow(TUTORIAL, "Step 4")


def test_the_token_reads_no_other_repository(desk):
    (use,) = [block.text for block in TUTORIAL.under("Step 4") if "gh api" in block.text]
    other = use.replace("your-repo", "your-other-repo")
    with pytest.raises(AssertionError, match="HTTP 404"):
        desk.reader.run(other)


def test_an_empty_object_is_rejected(desk):
    answer = desk.invoke("{}")
    assert answer["errorMessage"].startswith("github-token-broker does not accept invocation input")


def test_a_second_apply_changes_nothing(desk):
    before = desk.aws.function("github-token-broker")
    printed = desk.reader.run("tofu apply")
    assert "No changes." in printed
    assert desk.aws.function("github-token-broker") == before


def test_a_second_machine_downloads_and_changes_nothing(desk):
    before, downloads = desk.aws.function("github-token-broker"), desk.releases.downloads()
    second = Reader(desk.folder / "second", desk.reader.environment)
    second.folder.mkdir()
    for name in ("main.tf", "terraform.tfstate"):
        shutil.copy(desk.reader.folder / name, second.folder)
    printed = second.follow(TUTORIAL, "Step 3")
    assert "Resources: 1 added, 0 changed, 1 destroyed." in printed  # the download, which is not a resource in AWS
    assert desk.releases.downloads() == downloads + 1
    assert desk.aws.function("github-token-broker") == before
    assert "No changes." in second.run("tofu apply")


def test_the_how_to_rotates_the_key(desk):
    """With a GitHub that knows only the new key, so that the next response shows which key signed."""
    desk.github_starts_with(desk.reader.folder / "new-key.pem")
    assert desk.invoke()["errorMessage"], "the old key must not work with this GitHub"
    desk.reader.follow(ROTATE)
    assert desk.invoke()["repositories"] == ["your-org/your-repo"]
    assert not (desk.reader.folder / "new-key.pem").exists()


def test_the_how_to_changes_the_repository(desk):
    main = desk.reader.folder / "main.tf"
    (line,) = [block.text for block in RETARGET.under() if block.language == "hcl"]
    changed = re.sub(rf"^ *{line.split()[0]} .*\n", line, main.read_text(), flags=re.MULTILINE)
    assert changed != main.read_text()
    main.write_text(changed)
    desk.reader.follow(RETARGET)
    assert desk.invoke()["repositories"] == ["your-org/your-other-repo"]


def test_a_new_release_redeploys(desk):
    padded = desk.folder / "padded.zip"
    shutil.copy(desk.published, padded)
    with zipfile.ZipFile(padded, "a") as archive:
        archive.writestr("NOTICE", "another release")
    published = publish(desk.releases, "v1.1.1", padded.read_bytes())
    main = desk.reader.folder / "main.tf"
    main.write_text(main.read_text().replace('release_version = "v1.1.0"', 'release_version = "v1.1.1"'))
    assert "Resources: 1 added, 1 changed, 1 destroyed." in desk.reader.run("tofu apply")
    assert desk.aws.function("github-token-broker")["CodeSha256"] == rig.lambda_hash(published)
    assert desk.invoke()["token"]


def test_clean_up_leaves_nothing(desk):
    desk.reader.follow(TUTORIAL, "Clean up")
    assert desk.aws.left() == {}
    assert desk.aws.client("ssm").describe_parameters()["Parameters"] == []


def test_every_command_of_the_pages_was_run(desk):
    """The book's own tests skip these three pages."""
    for page in (TUTORIAL, ROTATE, RETARGET):
        skipped = {block.where for block in page.blocks if block.language == "sh" and not block.marked} - RAN
        assert not skipped


@pytest.mark.parametrize(
    ("on_the_page", "printed"),
    [
        ('{"token": "ghs_xxx"}', '{"token": "gho_123"}'),
        ('{"token": "ghs_xxx"}', '{"token": null}'),
        ('{"expires_at": "2026-04-23T16:48:32Z"}', '{"expires_at": "2026-04-23 16:48"}'),
        ('{"repositories": ["a/b"]}', '{"repositories": ["a/b", "a/c"]}'),
        ('{"token": "ghs_xxx"}', '{"token": "ghs_123", "more": 1}'),
    ],
)
def test_a_page_with_a_different_output_fails(on_the_page, printed):
    with pytest.raises(AssertionError):
        assert_like(json.loads(on_the_page), json.loads(printed), "here")
    with pytest.raises(AssertionError):
        assert_printed("one\ntwo", "two\none", "here")
