"""Bad input is refused with a sentence that names what to change, at plan time where it can be known, and nothing is left."""

import hashlib
import shutil
import zipfile

import pytest

import rig

RELEASE = 'lambda_artifact = { release_version = "v1.1.0" }'

# What is written, and what the refusal must say. All of these are told before anything is made.
AT_PLAN_TIME = {
    "a name with a quote": ('function_name = "a\\"b"', "function_name must be"),
    "a name with a space": ('repository_name = "your repo"', "repository_name must be"),
    "a name that is a command": ('repository_owner = "$$(touch here)"', "repository_owner must be"),
    "a name that is a template": ('repository_owner = "$${path.root}"', "repository_owner must be"),
    "a wildcard in a path": ('ssm_parameter_paths = { client_id = "/app/*" }', "ssm_parameter_paths must be"),
    "a wildcard in an ARN": ('invoker_role_arns = ["arn:aws:iam::123456789012:role/*"]', "invoker_role_arns must be"),
    "everyone": ('invoker_role_arns = ["*"]', "invoker_role_arns must be"),
    "an alias": ('kms_key_arn = "arn:aws:kms:us-east-1:123456789012:alias/broker"', "An alias's ARN is refused"),
    "an impossible permission": ('permissions = { contents = "owner" }', 'must each be "read", "write" or "admin"'),
    "no permission": ("permissions = {}", "must request at least one permission"),
    "plain http": ('github_api_base_url = "http://ghe.example.com"', "github_api_base_url must be"),
    "a period CloudWatch lacks": ("log_retention_days = 10", "log_retention_days must be"),
    "a tag that moves": ('lambda_artifact = { release_version = "latest" }', '"latest" moves'),
    "a tag that is a command": ('lambda_artifact = { release_version = "v1; touch here" }', "release_version must be"),
    "no artifact": ("lambda_artifact = {}", "must set exactly one of"),
    "two artifacts": (
        'lambda_artifact = { release_version = "v1.1.0", lambda_zip_path = "a.zip" }',
        "must set exactly one of",
    ),
    "a zip that is not there": ('lambda_artifact = { lambda_zip_path = "no.zip" }', "lambda_zip_path names no file"),
    "a file that is no zip": ('lambda_artifact = { lambda_zip_path = "main.tf" }', "lambda_zip_path is not a zip"),
}


@pytest.mark.parametrize("mistake", AT_PLAN_TIME)
def test_it_is_told_at_plan_time(workspace, aws, mistake):
    written, message = AT_PLAN_TIME[mistake]
    root = workspace()
    root.write(written if "lambda_artifact" in written else f"{written}\n  {RELEASE}")
    with pytest.raises(rig.Failed) as refusal:
        root.run("plan", "-input=false")
    assert message in str(refusal.value)
    assert aws.left() == {}
    assert not list(root.folder.rglob("here"))


def refused_on_apply(root: rig.Workspace, arguments: str, message: str) -> None:
    """The apply stops before anything is made, and leaves no file behind that could pass for a checked one."""
    root.write(arguments)
    with pytest.raises(rig.Failed) as refusal:
        root.apply()
    assert message in str(refusal.value)
    assert root.aws.left() == {}, "something was half-created"
    assert not [path for path in root.folder.glob(".terraform/github-token-broker/**/*") if path.is_file()]


def test_a_local_zip_without_bootstrap(workspace, aws, tmp_path):
    path = rig.write_zip(tmp_path / "broker.zip", name="main")
    root = workspace()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
    with pytest.raises(rig.Failed, match="holds an executable named bootstrap"):
        root.plan()


@pytest.mark.parametrize("padding", ["", "x", "xx"])
def test_a_local_zip_with_bootstrap_anywhere_passes(workspace, tmp_path, padding):
    """The check looks at base64, where the name has three shapes."""
    path = tmp_path / "broker.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"LICENSE{padding}", "text")
        archive.writestr("bootstrap", "#!/bin/sh\n")
    root = workspace()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
    assert root.plan()["aws_lambda_function.broker"] == ["create"]


def test_a_local_zip_that_does_not_match_its_hash(workspace, tmp_path):
    path = rig.write_zip(tmp_path / "broker.zip")
    root = workspace()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}", sha256 = "{"0" * 64}" }}')
    with pytest.raises(rig.Failed, match="lambda_zip_path does not hash to lambda_artifact.sha256"):
        root.plan()
    good = hashlib.sha256(path.read_bytes()).hexdigest().upper()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}", sha256 = "{good}" }}')
    root.apply()
    assert root.plan() == {}


def test_a_release_that_does_not_match_its_checksum(workspace, releases):
    folder = releases.publish("v1.1.0")
    rig.write_zip(folder / "github-token-broker.zip", "swapped")
    refused_on_apply(workspace(), RELEASE, "does not match checksums.txt of release v1.1.0")


def test_a_release_that_does_not_match_the_pinned_hash(workspace, releases):
    releases.publish("v1.1.0")
    arguments = f'lambda_artifact = {{ release_version = "v1.1.0", sha256 = "{"0" * 64}" }}'
    refused_on_apply(workspace(), arguments, "does not hash to lambda_artifact.sha256")


def test_a_release_whose_checksums_do_not_name_the_zip(workspace, releases):
    folder = releases.publish("v1.1.0")
    (folder / "checksums.txt").write_text(f"{'0' * 64}  something-else.zip\n")
    refused_on_apply(workspace(), RELEASE, "does not name github-token-broker.zip exactly once")


def test_a_release_without_that_zip(workspace, releases):
    folder = releases.publish("v1.1.0")
    (folder / "github-token-broker.zip").unlink()
    refused_on_apply(workspace(), RELEASE, "has no github-token-broker.zip")


def test_a_release_whose_zip_lacks_bootstrap(workspace, releases):
    releases.publish("v1.1.0", name="main")
    refused_on_apply(workspace(), RELEASE, "holds no executable named bootstrap")


def test_a_release_that_does_not_exist(workspace, releases):
    releases.publish("v1.1.0")
    arguments = 'lambda_artifact = { release_version = "v9.9.9" }'
    refused_on_apply(workspace(), arguments, "could not download release v9.9.9 of meigma/github-token-broker")


def test_a_release_without_an_attestation(workspace, releases):
    releases.publish("v1.1.0")
    arguments = 'lambda_artifact = { release_version = "v1.1.0", verify_attestation = true }'
    refused_on_apply(workspace(), arguments, "no valid attestation")


@pytest.mark.parametrize(
    "signed_by",
    [{"workflow": "ci.yml"}, {"ref": "refs/heads/main"}, {"ref": "refs/tags/v1.0.0"}],
    ids=["another workflow", "a branch", "another tag"],
)
def test_a_release_whose_attestation_is_of_something_else(workspace, releases, signed_by):
    releases.attest(releases.publish("v1.1.0") / "github-token-broker.zip", **signed_by)
    arguments = 'lambda_artifact = { release_version = "v1.1.0", verify_attestation = true }'
    refused_on_apply(workspace(), arguments, "no valid attestation that release.yml of meigma/github-token-broker built")


@pytest.mark.parametrize(
    ("missing", "message"),
    [("gh", "GitHub CLI (gh) is not on PATH"), ("sha256sum", "sha256sum is not on PATH")],
)
def test_a_program_that_is_missing(workspace, releases, tmp_path, missing, message):
    releases.publish("v1.1.0")
    root = workspace()
    only = tmp_path / "only"
    only.mkdir()
    for name in {"bash", "mkdir", "mktemp", "rm", "mv", "awk", "wc", "grep", "sha256sum", "gh"} - {missing}:
        (only / name).symlink_to(shutil.which(name, path=root.environment["PATH"]))
    root.environment["PATH"] = str(only)
    refused_on_apply(root, RELEASE, message)
    if missing == "gh":
        (only / "gh").symlink_to(releases.bin / "gh")
        root.apply()  # nothing stands in the way once the program is there


def test_a_failed_update_leaves_the_function_as_it_was(workspace, aws, releases):
    releases.publish("v1.1.0", "one")
    root = workspace()
    root.write(RELEASE)
    root.apply()
    before = aws.function()
    folder = releases.publish("v1.2.0", "two")
    rig.write_zip(folder / "github-token-broker.zip", "swapped")
    root.write(RELEASE.replace("v1.1.0", "v1.2.0"))
    with pytest.raises(rig.Failed, match="does not match"):
        root.apply()
    assert aws.function() == before
    releases.publish("v1.2.0", "two")
    root.apply()
    assert aws.function()["CodeSha256"] == rig.lambda_hash(folder / "github-token-broker.zip")
    assert root.plan() == {}
