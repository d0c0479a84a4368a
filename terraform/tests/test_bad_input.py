"""Bad input is rejected with a message that names what to change, at plan time if possible, and nothing is created."""

import hashlib
import shutil

import pytest

import rig

RELEASE = 'lambda_artifact = { release_version = "v1.1.0" }'

# What is written, and what the error must contain. All of these are reported before anything is created.
AT_PLAN_TIME = {
    "a name with a quote": ('function_name = "a\\"b"', "function_name must be"),
    "a name with a space": ('repository_name = "your repo"', "repository_name must be"),
    "a name that is a command": ('repository_owner = "$$(touch here)"', "repository_owner must be"),
    "a name that is a template": ('repository_owner = "$${path.root}"', "repository_owner must be"),
    "a wildcard in a path": ('ssm_parameter_paths = { client_id = "/app/*" }', "ssm_parameter_paths must be"),
    "a wildcard in an ARN": ('invoker_role_arns = { ci = "arn:aws:iam::123456789012:role/*" }', "invoker_role_arns must be"),
    "everyone": ('invoker_role_arns = { everyone = "*" }', "invoker_role_arns must be"),
    "an alias": ('kms_key_arn = "arn:aws:kms:us-east-1:123456789012:alias/broker"', "An alias ARN grants nothing"),
    "an alias that signs": (
        'signing_key_arns = ["arn:aws:kms:us-east-1:123456789012:alias/app"]',
        "An alias ARN grants nothing: IAM compares kms:Sign with the ARN of the key itself",
    ),
    "one signing key twice": (
        'signing_key_arns = ["arn:aws:kms:us-east-1:123456789012:key/1", "arn:aws:kms:us-east-1:123456789012:key/1"]',
        "signing_key_arns must not contain the same key twice",
    ),
    "a client ID twice": (
        'client_id = "Iv23li"\n ssm_parameter_paths = { client_id = "/a" }',
        "client_id and ssm_parameter_paths.client_id are both set",
    ),
    "an installation ID twice": (
        'installation_id = "1"\n ssm_parameter_paths = { installation_id = "/a" }',
        "installation_id and ssm_parameter_paths.installation_id are both set",
    ),
    "a key in KMS and in SSM": (
        'signing_key_arns = ["arn:aws:kms:us-east-1:123456789012:key/1"]\n ssm_parameter_paths = { private_key = "/a" }',
        "signing_key_arns and ssm_parameter_paths.private_key are both set",
    ),
    "a secret without its ARN": (
        'ssm_parameter_paths = { private_key = "/aws/reference/secretsmanager/key" }',
        "private_key_secret_arn is not set",
    ),
    "a private key as the client ID": ('client_id = "-----BEGIN RSA PRIVATE KEY-----"', "A private key or a token must not be here"),
    "a token as the installation ID": ('installation_id = "ghs_0123456789"', "installation_id must be a positive whole number"),
    "certificates without their layer": ('ca_certificates_path = "/opt/ca.pem"', "layers is empty"),
    "a list of callers": ('invoker_role_arns = ["arn:aws:iam::123456789012:role/ci"]', "map of string required"),
    "an impossible permission": ('permissions = { contents = "owner" }', 'must each be "read", "write" or "admin"'),
    "no permission": ("permissions = {}", "must request at least one permission"),
    "port 99999": ('github_api_base_url = "https://ghe.example.com:99999"', "A port must be 1 to 65535"),
    "port 0": ('github_api_base_url = "https://ghe.example.com:0/api/v3"', "A port must be 1 to 65535"),
    "an empty port": ('github_api_base_url = "https://ghe.example.com:/api/v3"', "github_api_base_url must be"),
    "a URL in a URL": ('github_api_base_url = "https://http://ghe.example.com"', "github_api_base_url must be"),
    "a proxy with port 65536": ('https_proxy = "http://proxy.example.com:65536"', "a port must be 1 to 65535"),
    "plain http": ('github_api_base_url = "http://ghe.example.com"', "github_api_base_url must be"),
    "a period CloudWatch lacks": ("log_retention_days = 10", "log_retention_days must be"),
    "a tag that moves": ('lambda_artifact = { release_version = "latest" }', 'because "latest" changes over time'),
    "a tag that is a command": ('lambda_artifact = { release_version = "v1; touch here" }', "release_version must be"),
    "no artifact": ("lambda_artifact = {}", "must set exactly one of"),
    "two artifacts": (
        'lambda_artifact = { release_version = "v1.1.0", lambda_zip_path = "a.zip" }',
        "must set exactly one of",
    ),
    "a zip that is not there": ('lambda_artifact = { lambda_zip_path = "no.zip" }', "lambda_zip_path cannot be read"),
    "a file that is no zip": ('lambda_artifact = { lambda_zip_path = "main.tf" }', "lambda_zip_path is not a zip"),
}


@pytest.mark.parametrize("mistake", AT_PLAN_TIME)
def test_a_mistake_is_reported_at_plan_time(workspace, aws, mistake):
    written, message = AT_PLAN_TIME[mistake]
    root = workspace()
    root.write(written if "lambda_artifact" in written else f"{written}\n  {RELEASE}")
    with pytest.raises(rig.Failed) as error:
        root.run("plan", "-input=false")
    assert message in str(error.value)
    assert aws.left() == {}
    assert not list(root.folder.rglob("here"))


def assert_apply_fails(root: rig.Workspace, arguments: str, message: str) -> None:
    """The apply stops before anything is created, and leaves no file that looks like a checked one."""
    root.write(arguments)
    with pytest.raises(rig.Failed) as error:
        root.apply()
    assert message in str(error.value)
    assert root.aws.left() == {}, "something was half-created"
    assert not [path for path in root.folder.glob(".terraform/github-token-broker/**/*") if path.is_file()]


def test_a_local_zip_that_does_not_match_its_hash(workspace, tmp_path):
    path = rig.write_zip(tmp_path / "broker.zip")
    root = workspace()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}", sha256 = "{"0" * 64}" }}')
    with pytest.raises(rig.Failed, match="lambda_zip_path does not match lambda_artifact.sha256"):
        root.plan()
    good = hashlib.sha256(path.read_bytes()).hexdigest().upper()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}", sha256 = "{good}" }}')
    root.apply()
    assert root.plan() == {}


def test_a_release_that_does_not_match_its_checksum(workspace, releases):
    folder = releases.publish("v1.1.0")
    rig.write_zip(folder / "github-token-broker.zip", "swapped")
    assert_apply_fails(workspace(), RELEASE, "does not match checksums.txt of release v1.1.0")


def test_a_release_that_does_not_match_the_pinned_hash(workspace, releases):
    releases.publish("v1.1.0")
    arguments = f'lambda_artifact = {{ release_version = "v1.1.0", sha256 = "{"0" * 64}" }}'
    assert_apply_fails(workspace(), arguments, "does not match lambda_artifact.sha256")


def test_a_release_whose_checksums_do_not_name_the_zip(workspace, releases):
    folder = releases.publish("v1.1.0")
    (folder / "checksums.txt").write_text(f"{'0' * 64}  something-else.zip\n")
    assert_apply_fails(workspace(), RELEASE, "does not contain exactly one SHA-256 for github-token-broker.zip")


def test_a_release_without_that_zip(workspace, releases):
    folder = releases.publish("v1.1.0")
    (folder / "github-token-broker.zip").unlink()
    assert_apply_fails(workspace(), RELEASE, "has no github-token-broker.zip")


def test_a_release_whose_zip_lacks_bootstrap(workspace, releases):
    releases.publish("v1.1.0", name="main")
    assert_apply_fails(workspace(), RELEASE, "does not contain an executable named bootstrap")


def test_a_release_that_does_not_exist(workspace, releases):
    releases.publish("v1.1.0")
    arguments = 'lambda_artifact = { release_version = "v9.9.9" }'
    assert_apply_fails(workspace(), arguments, "could not read release v9.9.9 of meigma/github-token-broker")


def test_a_release_without_an_attestation(workspace, releases):
    releases.publish("v1.1.0")
    arguments = 'lambda_artifact = { release_version = "v1.1.0", verify_attestation = true }'
    assert_apply_fails(workspace(), arguments, "no valid attestation")


@pytest.mark.parametrize("change", ["twice", "not at all", "not a sum", "an empty file"])
def test_checksums_that_say_nothing_about_the_zip(workspace, releases, change):
    folder = releases.publish("v1.1.0")
    line = (folder / "checksums.txt").read_text().splitlines()[0] + "\n"
    text = {"twice": line * 2, "not at all": "", "not a sum": line[1:], "an empty file": ""}[change]
    (folder / "checksums.txt").write_text(text if change == "an empty file" else text + f"{'0' * 64}  other.zip\n")
    message = "checksums.txt of release v1.1.0 of meigma/github-token-broker is empty" if change == "an empty file" else "exactly one SHA-256"
    assert_apply_fails(workspace(), RELEASE, message)


def test_an_architecture_that_the_release_does_not_have(workspace, releases):
    """Like the published releases, which have only an arm64 zip."""
    folder = releases.publish("v1.1.0")
    (folder / "github-token-broker-x86_64.zip").unlink()
    message = "has no github-token-broker-x86_64.zip. It has: checksums.txt, github-token-broker.zip. Change architecture"
    assert_apply_fails(workspace(), f'{RELEASE}\n architecture = "x86_64"', message)


@pytest.mark.parametrize("left", [["github-token-broker-x86_64.zip", "checksums.txt"], ["source.tar.gz"], []])
def test_a_release_with_other_files_is_listed(workspace, releases, left):
    folder = releases.publish("v1.1.0")
    for path in folder.iterdir():
        if path.name not in left:
            path.unlink()
    if left == ["source.tar.gz"]:
        (folder / "source.tar.gz").write_text("x")
    message = f"has no github-token-broker.zip. It has: {', '.join(sorted(left)) or 'no files'}."
    assert_apply_fails(workspace(), RELEASE, message)


def test_a_release_without_checksums(workspace, releases):
    (releases.publish("v1.1.0") / "checksums.txt").unlink()
    assert_apply_fails(workspace(), RELEASE, "has no checksums.txt. It has: github-token-broker-x86_64.zip, github-token-broker.zip.")


def test_a_network_failure_is_not_a_missing_release(workspace, releases):
    releases.publish("v1.1.0")
    root = workspace()
    root.environment["GH_OFFLINE"] = "1"
    assert_apply_fails(root, RELEASE, "error connecting to api.github.com")
    with pytest.raises(rig.Failed, match="gh could not read release v1.1.0 .* Check .* the network"):
        root.apply()


@pytest.mark.parametrize(
    "signed_by",
    [
        {"workflow": "ci.yml"},
        {"workflow": "release.yml.yml"},
        {"workflow": "evil-release.yml"},
        {"ref": "refs/heads/main"},
        {"ref": "refs/tags/v1.0.0"},
        {"ref": "refs/tags/v1.1.0-rc1"},
        {"runner": "self-hosted"},
    ],
    ids=lambda signed_by: "-".join(signed_by.values()),
)
def test_an_attestation_of_something_else(workspace, releases, signed_by):
    releases.attest(releases.publish("v1.1.0") / "github-token-broker.zip", **signed_by)
    arguments = 'lambda_artifact = { release_version = "v1.1.0", verify_attestation = true }'
    assert_apply_fails(workspace(), arguments, "no valid attestation that release.yml of meigma/github-token-broker built")


@pytest.mark.parametrize(
    ("missing", "message"),
    [({"gh"}, "GitHub CLI (gh) is not on PATH"), ({"sha256sum", "shasum"}, "neither sha256sum nor shasum is on PATH")],
    ids=["gh", "sha256sum"],
)
def test_a_program_that_is_missing(workspace, releases, tmp_path, missing, message):
    releases.publish("v1.1.0")
    root = workspace()
    only = tmp_path / "only"
    only.mkdir()
    for name in {"bash", "mkdir", "mktemp", "rm", "mv", "awk", "tr", "cut", "grep", "sha256sum", "gh"} - missing:
        (only / name).symlink_to(shutil.which(name, path=root.environment["PATH"]))
    root.environment["PATH"] = str(only)
    assert_apply_fails(root, RELEASE, message)
    if "gh" in missing:
        (only / "gh").symlink_to(releases.bin / "gh")
        root.apply()  # the missing program was the only obstacle


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
