"""A broker's life against AWS on loopback: made exactly, at rest, changed in place, taken over, destroyed."""

import json
import shutil

import pytest

import rig


@pytest.fixture
def artifact(tmp_path) -> str:
    path = rig.write_zip(tmp_path / "broker.zip")
    return f'lambda_artifact = {{ lambda_zip_path = "{path}" }}'


def test_init_finds_the_provider_and_exactly_four_things_are_made(workspace, aws, artifact, version):
    root = workspace(version, installed=True)
    root.write(artifact)
    assert root.apply() == "Resources: 4 added, 0 changed, 0 destroyed."
    assert aws.left() == {"functions": ["broker"], "roles": ["broker"], "log groups": ["/aws/lambda/broker"]}
    iam = aws.client("iam")
    assert iam.list_role_policies(RoleName="broker")["PolicyNames"] == ["broker-policy"]
    assert iam.list_attached_role_policies(RoleName="broker")["AttachedPolicies"] == []
    function = aws.function()
    assert (function["Runtime"], function["Handler"], function["Architectures"]) == (
        "provided.al2023",
        "bootstrap",
        ["arm64"],
    )
    assert (function["MemorySize"], function["Timeout"]) == (128, 10)
    assert aws.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 30
    assert root.plan() == {}
    assert root.destroy() == "Destroy complete! Resources: 4 destroyed."
    assert aws.left() == {}


def test_the_outputs_are_the_contracts(workspace, artifact, version):
    root = workspace(version)
    root.write(artifact)
    root.apply()
    outputs = root.outputs()
    function = "arn:aws:lambda:us-east-1:123456789012:function:broker"
    policy = json.loads(outputs.pop("invoke_policy_json"))
    assert policy["Statement"][0]["Resource"] == [function]
    assert outputs.pop("deployed_version").startswith("sha256:")
    assert outputs == {
        "function_arn": function,
        "function_name": "broker",
        "function_invoke_arn": f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations",
        "role_arn": "arn:aws:iam::123456789012:role/broker",
        "role_name": "broker",
        "log_group_name": "/aws/lambda/broker",
    }


def test_settings_change_in_place(workspace, aws, artifact, version):
    root = workspace(version)
    root.write(artifact)
    root.apply()
    root.write(f"""{artifact}
        memory_size = 256
        log_level   = "debug"
        log_format  = "JSON"
        permissions = {{ contents = "read", issues = "write" }}
        log_retention_days = 0
        reserved_concurrent_executions = 3
        tags = {{ team = "platform" }}
        kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
    """)
    changes = root.plan()
    assert set(map(tuple, changes.values())) == {("update",)}, changes
    root.apply()
    function = aws.function()
    assert function["MemorySize"] == 256
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": "/aws/lambda/broker"}
    assert function["Environment"]["Variables"]["GITHUB_TOKEN_BROKER_LOG_LEVEL"] == "debug"
    assert json.loads(function["Environment"]["Variables"]["GITHUB_TOKEN_BROKER_PERMISSIONS"]) == {
        "contents": "read",
        "issues": "write",
    }
    assert "retentionInDays" not in aws.client("logs").describe_log_groups()["logGroups"][0]
    policy = aws.client("iam").get_role_policy(RoleName="broker", PolicyName="broker-policy")["PolicyDocument"]
    assert [statement["Sid"] for statement in policy["Statement"]] == [
        "ReadAppCredentials",
        "DecryptPrivateKey",
        "WriteLogs",
    ]
    assert root.plan() == {}
    root.write(artifact)
    root.apply()
    assert "GITHUB_TOKEN_BROKER_LOG_LEVEL" not in aws.function()["Environment"]["Variables"]
    assert root.plan() == {}


def test_callers_and_alarms_come_and_go(workspace, aws, artifact, version):
    root = workspace(version)
    callers = """
        alarm_actions     = ["arn:aws:sns:us-east-1:123456789012:on-call"]
        metrics_namespace = "Brokers"
        invoker_role_arns = ["arn:aws:iam::123456789012:role/ci", "arn:aws:iam::123456789012:role/release"]
    """
    root.write(artifact + callers)
    root.apply()
    assert aws.left()["alarms"] == ["broker-errors", "broker-throttles", "broker-unproven"]
    policy = json.loads(aws.client("lambda").get_policy(FunctionName="broker")["Policy"])
    assert sorted((s["Action"], s["Principal"]) for s in policy["Statement"]) == [  # real AWS: {"AWS": ARN}
        ("lambda:InvokeFunction", "arn:aws:iam::123456789012:role/ci"),
        ("lambda:InvokeFunction", "arn:aws:iam::123456789012:role/release"),
    ]
    assert root.plan() == {}
    root.write(artifact)
    root.apply()
    assert "alarms" not in aws.left()
    assert root.plan() == {}


def test_a_caller_may_be_made_in_the_same_apply(workspace, artifact):
    root = workspace()
    root.write(
        f"{artifact}\n invoker_role_arns = [aws_iam_role.ci.arn]",
        more="""
        resource "aws_iam_role" "ci" {
          name               = "ci"
          assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [] })
        }""",
    )
    root.apply()
    assert root.plan() == {}


def test_another_name_is_another_broker(workspace, aws, artifact):
    root = workspace()
    root.write(artifact)
    root.apply()
    root.write(artifact, name="renamed")
    root.apply()
    assert aws.left() == {"functions": ["renamed"], "roles": ["renamed"], "log groups": ["/aws/lambda/renamed"]}
    assert root.plan() == {}


def test_what_someone_changed_by_hand_is_drift(workspace, aws, artifact):
    root = workspace()
    root.write(artifact)
    root.apply()
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}]}
    aws.client("iam").put_role_policy(RoleName="broker", PolicyName="broker-policy", PolicyDocument=json.dumps(wide))
    functions = aws.client("lambda")
    functions.update_function_configuration(FunctionName="broker", LoggingConfig={"LogGroup": "/elsewhere"})
    functions.put_function_concurrency(FunctionName="broker", ReservedConcurrentExecutions=0)  # the how-to on leaks
    assert root.plan() == {"aws_iam_role_policy.lambda": ["update"], "aws_lambda_function.broker": ["update"]}
    root.apply()
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="broker")
    assert root.plan() == {}


# The contract's addresses with other values than ours: what a module published before this one may have left in a state.
PUBLISHED = """
variable "zip" { type = string }
resource "terraform_data" "download" { triggers_replace = ["v1.0.0"] }
resource "aws_iam_role" "lambda" {
  name               = "broker"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Action = "sts:AssumeRole", Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" } }
  ] })
}
resource "aws_iam_role_policy" "lambda" {
  name   = "broker-policy"
  role   = aws_iam_role.lambda.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Effect = "Allow", Action = "ssm:GetParameters", Resource = "*" }
  ] })
}
resource "aws_cloudwatch_log_group" "lambda" {
  name              = "/aws/lambda/broker"
  retention_in_days = 14
}
resource "aws_lambda_function" "broker" {
  function_name    = "broker"
  role             = aws_iam_role.lambda.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["arm64"]
  filename         = var.zip
  source_code_hash = base64sha256("v1.0.0")
  environment {
    variables = { GITHUB_TOKEN_BROKER_LOG_LEVEL = "info" }
  }
}
"""


def test_a_state_of_the_published_module_is_taken_over(workspace, aws, artifact, releases, tmp_path, version):
    releases.publish("v1.1.0", "new")
    published = tmp_path / "published"
    published.mkdir()
    (published / "main.tf").write_text(PUBLISHED)
    zip_file = rig.write_zip(tmp_path / "old.zip", "old")
    root = workspace(version)
    root.write(artifact)
    (root.folder / "main.tf").write_text(
        f'provider "aws" {{ region = "{rig.REGION}" }}\n'
        f'module "broker" {{\n source = "{published}"\n zip = "{zip_file}"\n}}\n'
    )
    root.run("init", "-input=false")
    root.apply()
    logs = aws.client("logs")
    logs.create_log_stream(logGroupName="/aws/lambda/broker", logStreamName="past")
    made = logs.describe_log_groups()["logGroups"][0]["creationTime"]

    shutil.rmtree(root.folder / ".terraform" / "modules")
    root.write('lambda_artifact = { release_version = "v1.1.0" }')
    changes = root.plan()
    assert changes.pop("terraform_data.download") == ["delete"]
    assert changes.pop("terraform_data.release[0]") == ["create"]
    assert set(map(tuple, changes.values())) == {("update",)}, changes
    root.apply()
    assert logs.describe_log_groups()["logGroups"][0]["creationTime"] == made
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/broker")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["past"], "the audit trail was lost"
    assert root.plan() == {}


def test_destroy_works_when_the_zip_is_gone(workspace, aws, tmp_path, version):
    path = rig.write_zip(tmp_path / "broker.zip")
    root = workspace(version)
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
    root.apply()
    path.unlink()
    root.destroy()
    assert aws.left() == {}


def test_destroy_needs_no_download(workspace, aws, releases):
    releases.publish("v1.1.0")
    root = workspace()
    root.write('lambda_artifact = { release_version = "v1.1.0" }')
    root.apply()
    shutil.rmtree(root.folder / ".terraform" / "github-token-broker")
    root.destroy()
    assert aws.left() == {}
    assert releases.downloads() == 1
