"""The zip: the module deploys exactly what it checked, again if and only if the content changed, from any machine."""

import hashlib
import shutil

import pytest

import rig

REPOSITORY = "meigma/github-token-broker"
RELEASE = 'lambda_artifact = { release_version = "v1.1.0" }'


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_release_is_downloaded_checked_and_deployed(workspace, releases, version):
    folder = releases.publish("v1.1.0")
    root = workspace(version)
    root.write(RELEASE)
    assert root.apply() == "Resources: 5 added, 0 changed, 0 destroyed."  # four in AWS, and the download
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(folder / "github-token-broker.zip")
    assert root.outputs()["deployed_version"] == "v1.1.0"
    assert root.plan() == {}
    assert releases.downloads() == 1


def test_a_second_machine_fetches_again_and_changes_nothing(workspace, releases, version):
    releases.publish("v1.1.0")
    root = workspace(version)
    root.write(RELEASE)
    root.apply()
    before = root.aws.function()
    second = workspace(version, "second")
    second.write(RELEASE)
    shutil.copy(root.folder / "terraform.tfstate", second.folder)
    second.apply()
    assert releases.downloads() == 2
    assert second.aws.function() == before, "the function was touched"
    assert second.plan() == {}, "the second machine's plan is not empty"
    shutil.copy(second.folder / "terraform.tfstate", root.folder)
    assert root.plan() == {}, "the first machine's plan is not empty"


def test_with_a_pinned_hash_the_second_machine_plans_no_change_in_aws(workspace, releases):
    folder = releases.publish("v1.1.0")
    pinned = f'lambda_artifact = {{ release_version = "v1.1.0", sha256 = "{sha256(folder / "github-token-broker.zip")}" }}'
    root = workspace()
    root.write(pinned)
    root.apply()
    second = workspace(name="second")
    second.write(pinned)
    shutil.copy(root.folder / "terraform.tfstate", second.folder)
    assert set(second.plan()) == {"terraform_data.release[0]"}


def test_another_release_redeploys_and_the_same_content_does_not(workspace, releases):
    releases.publish("v1.1.0", "one")
    folder = releases.publish("v1.2.0", "two")
    root = workspace()
    root.write(RELEASE)
    root.apply()
    root.write(RELEASE.replace("v1.1.0", "v1.2.0"))
    assert root.apply() == "Resources: 1 added, 1 changed, 1 destroyed."
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(folder / "github-token-broker.zip")
    assert root.plan() == {}


def test_the_architecture_decides_which_zip(workspace, releases):
    folder = releases.publish("v1.1.0")
    root = workspace()
    root.write(f'{RELEASE}\n architecture = "x86_64"')
    root.apply()
    assert root.aws.function()["Architectures"] == ["x86_64"]
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(folder / "github-token-broker-x86_64.zip")


def test_a_damaged_download_is_fetched_again_not_deployed(workspace, releases):
    releases.publish("v1.1.0")
    root = workspace()
    root.write(RELEASE)
    root.apply()
    before = root.aws.function()
    (zip_file,) = root.folder.glob(".terraform/github-token-broker/*/github-token-broker.zip")
    zip_file.write_bytes(zip_file.read_bytes() + b"tampered")
    root.apply()
    assert releases.downloads() == 2
    assert root.aws.function() == before
    assert root.plan() == {}


TAMPERED = {
    "the zip": (True, False),
    "the zip and its checksum": (True, True),
    "the zip and an uppercase checksum": (True, True),
}


def tamper(root: rig.Workspace, tampered: str) -> None:
    """Replaces the cached zip, and the checksum next to it, below .terraform."""
    (zip_file,) = root.folder.glob(".terraform/github-token-broker/*/github-token-broker.zip")
    rig.write_zip(zip_file, "malicious")
    if TAMPERED[tampered][1]:
        digest = sha256(zip_file).upper() if "uppercase" in tampered else sha256(zip_file)
        zip_file.with_name("verified.sha256").write_text(f"{digest}  {zip_file.name}\n")


@pytest.mark.slow
@pytest.mark.parametrize("tampered", TAMPERED)
def test_a_replaced_download_is_never_deployed_if_the_hash_is_pinned(workspace, releases, tampered):
    folder = releases.publish("v1.1.0")
    good = folder / "github-token-broker.zip"
    root = workspace()
    root.write(f'lambda_artifact = {{ release_version = "v1.1.0", sha256 = "{sha256(good)}" }}')
    root.apply()
    tamper(root, tampered)
    root.aws.client("lambda").delete_function(FunctionName="broker")
    root.apply()
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(good)
    assert releases.downloads() == 2
    assert root.plan() == {}


@pytest.mark.slow
def test_a_download_that_is_replaced_between_plan_and_apply_is_reported(workspace, releases):
    """The provider reads the file after the plan was made; only Lambda can tell what it was given."""
    folder = releases.publish("v1.1.0")
    root = workspace()
    root.write(f'lambda_artifact = {{ release_version = "v1.1.0", sha256 = "{sha256(folder / "github-token-broker.zip")}" }}')
    root.apply()
    root.aws.client("lambda").delete_function(FunctionName="broker")
    root.run("plan", "-input=false", "-out=plan")
    tamper(root, "the zip and its checksum")
    with pytest.raises(rig.Failed, match="is not the expected zip"):
        root.run("apply", "-input=false", "plan")


@pytest.mark.slow
def test_code_that_was_replaced_in_aws_is_reported_in_each_mode(workspace, aws, releases, bucket, tmp_path):
    """The AWS provider ignores this since 5.51: its plan would be empty."""
    path = rig.write_zip(tmp_path / "broker.zip")
    folder = releases.publish("v1.1.0")
    modes = {
        "release": RELEASE,
        "pinned release": f'lambda_artifact = {{ release_version = "v1.1.0", sha256 = "{sha256(folder / "github-token-broker.zip")}" }}',
        "local zip": f'lambda_artifact = {{ lambda_zip_path = "{path}" }}',
        "pinned object": s3_artifact(bucket(path), sha256(path)),
    }
    other = rig.write_zip(tmp_path / "other.zip", "other").read_bytes()
    for i, (mode, artifact) in enumerate(modes.items()):
        root = workspace(name=f"root{i}")
        root.write(artifact, name=f"broker{i}")
        root.apply()
        deployed = aws.function(f"broker{i}")["CodeSha256"]
        aws.client("lambda").update_function_code(FunctionName=f"broker{i}", ZipFile=other)
        with pytest.raises(rig.Failed, match="is not the expected zip"):
            root.plan()
        root.run("apply", "-input=false", "-auto-approve", "-replace=module.broker.aws_lambda_function.broker")
        assert aws.function(f"broker{i}")["CodeSha256"] == deployed, mode
        assert root.plan() == {}, mode


@pytest.mark.slow
@pytest.mark.parametrize("change", ["uppercase", "a carriage return", "a star", "./ before the name", "more lines"])
def test_checksums_of_each_notation_are_accepted_and_downloaded_once(workspace, releases, change):
    folder = releases.publish("v1.1.0")
    lines = (folder / "checksums.txt").read_text()
    lines = {
        "uppercase": "".join(f"{line.split()[0].upper()}  {line.split()[1]}\n" for line in lines.splitlines()),
        "a carriage return": lines.replace("\n", "\r\n"),
        "a star": lines.replace("  ", " *"),
        "./ before the name": lines.replace("  ", "  ./"),
        "more lines": "# SHA-256\n" + lines + f"{'0' * 64}  github-token-broker.zip.sig\n",
    }[change]
    (folder / "checksums.txt").write_bytes(lines.encode())
    root = workspace()
    root.write(RELEASE)
    root.apply()
    assert root.plan() == {}, "each plan downloads again"
    assert releases.downloads() == 1


# Variants of sha256sum on different systems; REAL is this machine's program.
SHA256SUMS = {
    "macOS, without --check": 'case "$*" in *-*) echo "illegal option" >&2; exit 1;; esac; exec REAL "$@"',
    "uppercase digits": "REAL \"$@\" | tr a-f A-F",
    "no file name": "REAL \"$@\" | cut -c 1-64",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHA256SUMS)
def test_sha256sum_of_each_system_is_understood(workspace, releases, kind):
    releases.publish("v1.1.0")
    program = releases.bin / "sha256sum"
    program.write_text("#!/bin/bash\n" + SHA256SUMS[kind].replace("REAL", shutil.which("sha256sum")) + "\n")
    program.chmod(0o755)
    root = workspace()
    root.write(RELEASE)
    root.apply()
    assert root.aws.function()


@pytest.mark.slow
def test_shasum_is_used_if_there_is_no_sha256sum(workspace, releases, tmp_path):
    releases.publish("v1.1.0")
    root = workspace()
    root.environment["PATH"] = only_programs(tmp_path, root, without="sha256sum")
    program = tmp_path / "only" / "shasum"
    program.write_text(f'#!/bin/bash\n[[ $1 == -a && $2 == 256 ]] || exit 1\nexec {shutil.which("sha256sum")}\n')
    program.chmod(0o755)
    root.write(RELEASE)
    root.apply()
    assert root.aws.function()


def only_programs(tmp_path, root: rig.Workspace, without: str) -> str:
    """A PATH with only the programs that the script uses, without one of them."""
    only = tmp_path / "only"
    only.mkdir()
    for name in {"bash", "mkdir", "mktemp", "rm", "mv", "awk", "tr", "cut", "grep", "sha256sum", "gh"} - {without}:
        (only / name).symlink_to(shutil.which(name, path=root.environment["PATH"]))
    return str(only)


def test_an_attestation_is_verified_if_required(workspace, releases):
    folder = releases.publish("v1.1.0")
    releases.attest(folder / "github-token-broker.zip")
    root = workspace()
    root.write('lambda_artifact = { release_version = "v1.1.0", verify_attestation = true }')
    root.apply()
    (verified,) = [line for line in releases.log.read_text().splitlines() if line.startswith("attestation verify")]
    assert "--deny-self-hosted-runners" in verified
    assert f"--cert-identity https://github.com/{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1.1.0" in verified


def test_a_local_zip_redeploys_when_its_content_changes(workspace, tmp_path, version):
    path = rig.write_zip(tmp_path / "broker.zip", "one")
    root = workspace(version)
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
    assert root.apply() == "Resources: 4 added, 0 changed, 0 destroyed."
    assert root.outputs()["deployed_version"] == f"sha256:{rig.lambda_hash(path)}"
    path.touch()
    assert root.plan() == {}, "a new date is not new content"
    rig.write_zip(path, "two")
    assert root.plan() == {"aws_lambda_function.broker": ["update"]}
    root.apply()
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(path)
    assert root.plan() == {}


@pytest.fixture
def bucket(aws):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="zips")
    s3.put_bucket_versioning(Bucket="zips", VersioningConfiguration={"Status": "Enabled"})

    def upload(path, algorithm="SHA256"):
        return s3.put_object(Bucket="zips", Key="broker.zip", Body=path.read_bytes(), ChecksumAlgorithm=algorithm)["VersionId"]

    return upload


def s3_artifact(version_id: str = "", sha256: str = "") -> str:
    version = f', version_id = "{version_id}"' if version_id else ""
    pinned = f', sha256 = "{sha256}"' if sha256 else ""
    return f'lambda_artifact = {{ lambda_source_s3 = {{ bucket = "zips", key = "broker.zip"{version} }}{pinned} }}'


@pytest.mark.slow
def test_an_object_in_s3_redeploys_by_its_version(workspace, bucket, tmp_path):
    path = rig.write_zip(tmp_path / "broker.zip", "one")
    root = workspace()
    root.write(s3_artifact(bucket(path)))
    root.apply()
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(path)
    assert root.plan() == {}
    second = bucket(rig.write_zip(path, "two"))
    assert root.plan() == {}, "the version is pinned"
    root.write(s3_artifact(second))
    assert root.plan() == {"aws_lambda_function.broker": ["update"]}
    root.apply()
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(path)
    assert root.outputs()["deployed_version"] == f"s3://zips/broker.zip?versionId={second}"


@pytest.mark.slow
def test_an_object_in_s3_is_compared_with_the_pin_before_the_update(workspace, bucket, tmp_path, version):
    path = rig.write_zip(tmp_path / "broker.zip", "one")
    good = sha256(path)
    first = bucket(path)
    root = workspace(version)
    root.write(s3_artifact(first, good))
    root.apply()
    assert root.plan() == {}
    before = root.aws.function()
    other = bucket(rig.write_zip(path, "two"))
    root.write(s3_artifact(other, good))
    with pytest.raises(rig.Failed, match="does not match lambda_artifact.sha256. The function was not changed"):
        root.apply()
    assert root.aws.function() == before
    root.write(s3_artifact(other, sha256(path).upper()))
    root.apply()
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(path)
    assert root.plan() == {}
    root.destroy()
    assert root.aws.left() == {}


@pytest.mark.slow
def test_an_object_whose_checksum_is_of_another_kind_cannot_be_pinned(workspace, aws, bucket, tmp_path):
    """function.tftest.hcl has an object that was uploaded in parts, which moto answers differently from AWS."""
    path = rig.write_zip(tmp_path / "broker.zip")
    for algorithm in ("CRC32", "SHA1"):
        version_id = bucket(path, algorithm)
        root = workspace(name=algorithm)
        root.write(s3_artifact(version_id, sha256(path)))
        with pytest.raises(rig.Failed, match="S3 has no SHA-256 checksum of the whole object"):
            root.apply()
    assert aws.left() == {}, "something was half-created"


@pytest.mark.slow
def test_an_object_that_is_replaced_between_plan_and_apply_is_reported(workspace, bucket, tmp_path):
    """Without a version ID, Lambda reads what is there at that moment."""
    path = rig.write_zip(tmp_path / "broker.zip", "one")
    bucket(path)
    root = workspace()
    callers = 'invoker_role_arns = { ci = "arn:aws:iam::123456789012:role/ci" }'
    root.write(f"{s3_artifact('', sha256(path))}\n {callers}")
    root.run("plan", "-input=false", "-out=plan")
    bucket(rig.write_zip(path, "two"))
    with pytest.raises(rig.Failed, match="is not the expected zip"):
        root.run("apply", "-input=false", "plan")
    client = root.aws.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName="broker")  # the permissions wait for the comparison


@pytest.mark.slow
def test_an_object_can_be_uploaded_in_the_same_apply(workspace, bucket, tmp_path):
    """The version ID is unknown at plan time, so the object is read during the apply."""
    path = rig.write_zip(tmp_path / "broker.zip", "one")
    version_id = bucket(path)
    root = workspace()
    uploaded = f'resource "terraform_data" "upload" {{\n input = "{version_id}"\n}}'
    root.write(s3_artifact("VERSION", sha256(path)).replace('"VERSION"', "terraform_data.upload.output"), more=uploaded)
    root.apply()
    assert root.aws.function()["CodeSha256"] == rig.lambda_hash(path)
    assert root.plan() == {}


@pytest.mark.slow
def test_destroy_works_without_the_object_if_nothing_is_refreshed(workspace, aws, bucket, tmp_path):
    """Terraform reads data sources before a destroy, too; the README names this option."""
    path = rig.write_zip(tmp_path / "broker.zip")
    version_id = bucket(path)
    root = workspace()
    root.write(s3_artifact(version_id, sha256(path)))
    root.apply()
    aws.client("s3").delete_object(Bucket="zips", Key="broker.zip", VersionId=version_id)
    root.run("destroy", "-input=false", "-auto-approve", "-refresh=false")
    assert aws.left() == {}


@pytest.mark.slow
def test_destroy_works_although_a_check_fails(workspace, aws, bucket, tmp_path):
    path = rig.write_zip(tmp_path / "broker.zip")
    root = workspace()
    root.write(s3_artifact(bucket(path), sha256(path)))
    root.apply()
    aws.client("lambda").update_function_code(FunctionName="broker", ZipFile=rig.write_zip(tmp_path / "other.zip", "other").read_bytes())
    root.write(s3_artifact(bucket(path), "0" * 64))
    with pytest.raises(rig.Failed):
        root.plan()
    root.destroy()
    assert aws.left() == {}
