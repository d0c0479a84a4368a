"""A broker's life with AWS on loopback: created exactly, no drift, updated in place, taken over, destroyed."""

import json
import shutil

import pytest

import rig


@pytest.fixture
def artifact(tmp_path) -> str:
    path = rig.write_zip(tmp_path / "broker.zip")
    return f'lambda_artifact = {{ lambda_zip_path = "{path}" }}'


@pytest.mark.parametrize("version", rig.VERSIONS)
def test_exactly_four_resources_are_created_and_destroyed(workspace, aws, artifact, version):
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


def test_outputs_match_the_contract(workspace, artifact, version):
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


def test_opt_ins_are_added_and_removed(workspace, aws, artifact, version):
    root = workspace(version)
    aws.client("logs").create_log_group(logGroupName="cloudtrail")
    layer = aws.client("lambda").publish_layer_version(LayerName="ca", Content={"ZipFile": b"zip"})["LayerVersionArn"]
    opt_ins = f"""
        alarm_actions     = ["arn:aws:sns:us-east-1:123456789012:on-call"]
        metrics_namespace = "Brokers"
        dashboard         = true
        signing_key_arns  = ["arn:aws:kms:us-east-1:123456789012:key/1234abcd"]
        client_id         = "Iv23liExample"
        installation_id   = "12345678"
        cloudtrail_log_group_name = "cloudtrail"
        layers            = ["{layer}"]
        ca_certificates_path = "/opt/ca.pem"
        https_proxy       = "http://proxy.example.com:3128"
        no_proxy          = "kms.us-east-1.amazonaws.com"
        tracing_mode      = "Active"
        vpc_config        = {{ subnet_ids = ["subnet-0b", "subnet-0a"], security_group_ids = ["sg-0a"] }}
        invoker_role_arns = {{
          ci      = "arn:aws:iam::123456789012:role/ci"
          release = "arn:aws:iam::123456789012:role/release"
        }}
    """
    root.write(artifact + opt_ins)
    root.apply()
    left = aws.left()
    assert left["alarms"] == [
        "broker-errors",
        "broker-foreign-signatures",
        "broker-github-rate-limit",
        "broker-throttles",
        "broker-unproven",
    ]
    assert left["dashboards"] == ["broker"]
    filters = aws.client("logs").describe_metric_filters(logGroupName="cloudtrail")["metricFilters"]
    assert [filter["filterName"] for filter in filters] == ["broker-foreign-signatures"]
    assert "arn:aws:iam::123456789012:role/broker" in filters[0]["filterPattern"]
    policy = json.loads(aws.client("lambda").get_policy(FunctionName="broker")["Policy"])
    assert sorted((s["Sid"], s["Action"], s["Principal"]) for s in policy["Statement"]) == [  # real AWS: {"AWS": ARN}
        ("invoker-ci", "lambda:InvokeFunction", "arn:aws:iam::123456789012:role/ci"),
        ("invoker-release", "lambda:InvokeFunction", "arn:aws:iam::123456789012:role/release"),
    ]
    function = aws.function()
    assert sorted(function["VpcConfig"]["SubnetIds"]) == ["subnet-0a", "subnet-0b"]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert [layer["Arn"] for layer in function["Layers"]] == [layer]
    assert root.plan() == {}
    root.write(artifact)
    root.apply()
    assert not {"alarms", "dashboards"} & set(aws.left())
    function = aws.function()
    assert (function["Layers"], function["TracingConfig"]) == ([], {"Mode": "PassThrough"})
    assert not function["VpcConfig"].get("SubnetIds")
    assert root.plan() == {}


ROLE = """
    resource "aws_iam_role" "ci" {
      name               = "ci"
      assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [] })
    }"""


def test_a_caller_can_be_created_in_the_same_apply(workspace, aws, artifact, version):
    root = workspace(version)
    root.write(f"{artifact}\n invoker_role_arns = {{ ci = aws_iam_role.ci.arn }}", more=ROLE)
    root.apply()
    assert root.plan() == {}
    # A name does not depend on the order of the others, so adding one in front changes nothing else.
    two = '{ another = "arn:aws:iam::123456789012:role/another", ci = aws_iam_role.ci.arn }'
    root.write(f"{artifact}\n invoker_role_arns = {two}", more=ROLE)
    assert root.plan() == {'aws_lambda_permission.invoker["another"]': ["create"]}
    root.write(f'{artifact}\n invoker_role_arns = {{ another = "arn:aws:iam::123456789012:role/another" }}', more=ROLE)
    root.apply()
    policy = json.loads(aws.client("lambda").get_policy(FunctionName="broker")["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["invoker-another"]
    assert root.plan() == {}


def test_a_caller_must_be_a_role_also_if_it_is_created_in_the_same_apply(workspace, aws, artifact):
    root = workspace()
    root.write(f"{artifact}\n invoker_role_arns = {{ ci = aws_iam_role.ci.id }}", more=ROLE)
    with pytest.raises(rig.Failed, match="invoker_role_arns must be IAM role ARNs"):
        root.apply()
    client = aws.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName="broker")


def test_a_signing_key_can_be_created_in_the_same_apply(workspace, aws, artifact):
    root = workspace()
    key = """
        resource "aws_kms_external_key" "app" {
          key_spec  = "RSA_2048"
          key_usage = "SIGN_VERIFY"
        }"""
    root.write(f"{artifact}\n signing_key_arns = [aws_kms_external_key.app.arn]", more=key)
    root.apply()
    arn = aws.function()["Environment"]["Variables"]["GITHUB_TOKEN_BROKER_KMS_KEY_ID"]
    assert arn.startswith("arn:aws:kms:")
    policy = aws.client("iam").get_role_policy(RoleName="broker", PolicyName="broker-policy")["PolicyDocument"]
    assert [s["Resource"] for s in policy["Statement"] if s["Sid"] == "SignAppJwt"] == [[arn]]
    assert root.plan() == {}


def test_ids_can_be_known_only_after_apply(workspace, aws, artifact):
    root = workspace()
    ids = 'resource "terraform_data" "id" {\n input = "12345678"\n}'
    root.write(f"{artifact}\n client_id = terraform_data.id.output\n installation_id = terraform_data.id.output", more=ids)
    root.apply()
    variables = aws.function()["Environment"]["Variables"]
    assert (variables["GITHUB_TOKEN_BROKER_CLIENT_ID"], variables["GITHUB_TOKEN_BROKER_INSTALLATION_ID"]) == ("12345678", "12345678")
    policy = aws.client("iam").get_role_policy(RoleName="broker", PolicyName="broker-policy")["PolicyDocument"]
    (read,) = [s["Resource"] for s in policy["Statement"] if s["Sid"] == "ReadAppCredentials"]
    assert read == ["arn:aws:ssm:us-east-1:123456789012:parameter/github-token-broker/app/private-key-pem"]
    assert root.plan() == {}


@pytest.mark.slow
def test_a_role_that_was_deleted_by_hand_needs_a_new_function(workspace, aws, artifact, version):
    """Lambda cannot decrypt the environment then: its grant is for the ID of the deleted role. Terraform does not treat a resource that
    is created again as a trigger (`replace_triggered_by`), so the troubleshooting page names this command."""
    root = workspace(version)
    root.write(f'{artifact}\n invoker_role_arns = {{ ci = "arn:aws:iam::123456789012:role/ci" }}')
    root.apply()
    iam = aws.client("iam")
    iam.delete_role_policy(RoleName="broker", PolicyName="broker-policy")
    iam.delete_role(RoleName="broker")
    root.run("apply", "-input=false", "-auto-approve", "-replace=module.broker.aws_lambda_function.broker")
    assert "invoker-ci" in aws.client("lambda").get_policy(FunctionName="broker")["Policy"]
    assert "/aws/lambda/broker" in aws.left()["log groups"]
    assert root.plan() == {}


BY_HAND = {
    "aws_iam_role_policy.lambda": lambda aws: aws.client("iam").delete_role_policy(RoleName="broker", PolicyName="broker-policy"),
    "aws_cloudwatch_log_group.lambda": lambda aws: aws.client("logs").delete_log_group(logGroupName="/aws/lambda/broker"),
    'aws_lambda_permission.invoker["ci"]': lambda aws: aws.client("lambda").remove_permission(FunctionName="broker", StatementId="invoker-ci"),
    "aws_lambda_function.broker": lambda aws: aws.client("lambda").delete_function(FunctionName="broker"),
}


@pytest.mark.slow
@pytest.mark.parametrize("address", BY_HAND)
def test_a_resource_that_was_deleted_by_hand_is_created_again(workspace, aws, artifact, address):
    root = workspace()
    root.write(f'{artifact}\n invoker_role_arns = {{ ci = "arn:aws:iam::123456789012:role/ci" }}')
    root.apply()
    BY_HAND[address](aws)
    assert root.plan()[address] == ["create"]
    root.apply()
    assert "invoker-ci" in aws.client("lambda").get_policy(FunctionName="broker")["Policy"]
    assert root.plan() == {}


def test_a_changed_role_does_not_replace_the_function(workspace, artifact):
    root = workspace()
    root.write(artifact)
    root.apply()
    root.write(f'{artifact}\n tags = {{ team = "platform" }}\n permissions_boundary_arn = "arn:aws:iam::aws:policy/Boundary"')
    assert set(map(tuple, root.plan().values())) == {("update",)}


@pytest.mark.slow
def test_a_new_name_is_a_new_broker(workspace, aws, artifact):
    root = workspace()
    root.write(artifact)
    root.apply()
    root.write(artifact, name="renamed")
    root.apply()
    assert aws.left() == {"functions": ["renamed"], "roles": ["renamed"], "log groups": ["/aws/lambda/renamed"]}
    assert root.plan() == {}


def test_manual_changes_are_drift(workspace, aws, artifact):
    root = workspace()
    root.write(artifact)
    root.apply()
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}]}
    aws.client("iam").put_role_policy(RoleName="broker", PolicyName="broker-policy", PolicyDocument=json.dumps(wide))
    functions = aws.client("lambda")
    functions.update_function_configuration(FunctionName="broker", LoggingConfig={"LogGroup": "/elsewhere"})
    functions.put_function_concurrency(FunctionName="broker", ReservedConcurrentExecutions=0)  # like the how-to on leaks
    assert root.plan() == {"aws_iam_role_policy.lambda": ["update"], "aws_lambda_function.broker": ["update"]}
    root.apply()
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="broker")
    assert root.plan() == {}


# The contract's addresses, with values that differ from this module's: what the published modules left in a state. v1.1.0 has an input for a
# function URL, which v2.0.0 removed.
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
FUNCTION_URL = """
resource "aws_lambda_function_url" "broker" {
  function_name      = aws_lambda_function.broker.function_name
  authorization_type = "AWS_IAM"
}
resource "aws_lambda_permission" "function_url" {
  statement_id           = "AllowFunctionUrl"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.broker.function_name
  principal              = "123456789012"
  function_url_auth_type = "AWS_IAM"
}
"""
TAKEN_OVER = {
    "v1.1.0 with enable_function_url": (PUBLISHED + FUNCTION_URL, {"aws_lambda_function_url.broker", "aws_lambda_permission.function_url"}),
    "v1.1.0 or v2.0.0": (PUBLISHED, set()),
}


@pytest.mark.slow
@pytest.mark.parametrize("published", TAKEN_OVER)
def test_a_state_of_the_published_module_is_taken_over(workspace, aws, artifact, releases, tmp_path, version, published):
    releases.publish("v1.1.0", "new")
    configuration, removed = TAKEN_OVER[published]
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "main.tf").write_text(configuration)
    zip_file = rig.write_zip(tmp_path / "old.zip", "old")
    root = workspace(version)
    root.write(artifact)
    (root.folder / "main.tf").write_text(
        f'provider "aws" {{ region = "{rig.REGION}" }}\n'
        f'module "broker" {{\n source = "{folder}"\n zip = "{zip_file}"\n}}\n'
    )
    root.init()
    root.apply()
    logs, iam = aws.client("logs"), aws.client("iam")
    logs.create_log_stream(logGroupName="/aws/lambda/broker", logStreamName="past")
    created = logs.describe_log_groups()["logGroups"][0]["creationTime"], iam.get_role(RoleName="broker")["Role"]["RoleId"]

    shutil.rmtree(root.folder / ".terraform" / "modules")
    root.write('lambda_artifact = { release_version = "v1.1.0" }')
    changes = root.plan()
    assert changes.pop("terraform_data.download") == ["delete"]
    assert changes.pop("terraform_data.release[0]") == ["create"]
    assert {address for address, actions in changes.items() if actions == ["delete"]} == removed
    assert set(map(tuple, (changes[address] for address in changes.keys() - removed))) == {("update",)}, changes
    root.apply()
    assert created == (logs.describe_log_groups()["logGroups"][0]["creationTime"], iam.get_role(RoleName="broker")["Role"]["RoleId"])
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/broker")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["past"], "the audit trail was lost"
    assert root.plan() == {}


def test_destroy_works_without_the_zip(workspace, aws, tmp_path, version):
    path = rig.write_zip(tmp_path / "broker.zip")
    root = workspace(version)
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
    root.apply()
    path.unlink()
    root.destroy()
    assert aws.left() == {}


def test_destroy_does_not_download(workspace, aws, releases):
    releases.publish("v1.1.0")
    root = workspace()
    root.write('lambda_artifact = { release_version = "v1.1.0" }')
    root.apply()
    shutil.rmtree(root.folder / ".terraform" / "github-token-broker")
    root.destroy()
    assert aws.left() == {}
    assert releases.downloads() == 1
