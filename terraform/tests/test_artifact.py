"""Where the zip comes from: deployed is what was checked, again when and only when it changed, from any machine."""

import hashlib
import shutil

import pytest

import rig

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
    assert second.plan() == {}, "the second machine's plan does not come to rest"
    shutil.copy(second.folder / "terraform.tfstate", root.folder)
    assert root.plan() == {}, "the first machine sees a change that the second one made"


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


def test_an_attestation_is_verified_when_asked_for(workspace, releases):
    folder = releases.publish("v1.1.0")
    releases.attest(folder / "github-token-broker.zip")
    root = workspace()
    root.write('lambda_artifact = { release_version = "v1.1.0", verify_attestation = true }')
    root.apply()
    assert "attestation verify" in releases.log.read_text()


def test_a_local_zip_redeploys_when_its_content_changes(workspace, tmp_path, version):
    path = rig.write_zip(tmp_path / "broker.zip", "one")
    root = workspace(version)
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
    assert root.apply() == "Resources: 4 added, 0 changed, 0 destroyed."
    assert root.outputs()["deployed_version"] == f"sha256:{rig.lambda_hash(path)}"
    path.touch()
    assert root.plan() == {}, "a new date is not a new content"
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
    return lambda path: s3.put_object(Bucket="zips", Key="broker.zip", Body=path.read_bytes())["VersionId"]


def s3_artifact(version_id: str = "", sha256: str = "") -> str:
    version = f', version_id = "{version_id}"' if version_id else ""
    pinned = f', sha256 = "{sha256}"' if sha256 else ""
    return f'lambda_artifact = {{ lambda_source_s3 = {{ bucket = "zips", key = "broker.zip"{version} }}{pinned} }}'


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


def test_an_object_in_s3_must_match_its_pinned_hash(workspace, bucket, tmp_path, version):
    path = rig.write_zip(tmp_path / "broker.zip", "one")
    good = sha256(path)
    first = bucket(path)
    root = workspace(version)
    root.write(s3_artifact(first, good))
    root.apply()
    assert root.plan() == {}
    other = bucket(rig.write_zip(path, "two"))
    root.write(s3_artifact(other, good))
    with pytest.raises(rig.Failed, match="does not hash to lambda_artifact.sha256"):
        root.apply()
    with pytest.raises(rig.Failed, match="does not hash to lambda_artifact.sha256"):
        root.plan()
    root.write(s3_artifact(other, sha256(path)))
    root.apply()
    assert root.plan() == {}
    root.write(s3_artifact(other, good))
    with pytest.raises(rig.Failed):
        root.apply()
    root.destroy()
    assert root.aws.left() == {}


def test_nobody_may_invoke_an_object_that_does_not_match(workspace, bucket, tmp_path):
    wrong = s3_artifact(bucket(rig.write_zip(tmp_path / "broker.zip")), "0" * 64)
    root = workspace()
    root.write(f'{wrong}\n invoker_role_arns = ["arn:aws:iam::123456789012:role/ci"]')
    with pytest.raises(rig.Failed, match="does not hash to lambda_artifact.sha256"):
        root.apply()
    client = root.aws.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName="broker")
