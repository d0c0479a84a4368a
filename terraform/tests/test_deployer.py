"""The deployer's policy on the page "IAM policy" allows every call of an apply, an update and a destroy, and nothing else."""

import fnmatch
import hashlib
import json

import pytest

import rig
from tutorial import Page

ACCOUNT = "123456789012"
NAME = "github-token-broker"

# Actions that the page explains: AWS checks them without a call of their own, or only the real provider makes the call.
NOT_RECORDED = {
    "iam:PassRole",
    "iam:UpdateRoleDescription",
    "lambda:GetFunctionConfiguration",
    "lambda:GetLayerVersion",
    "lambda:ListTags",
    "logs:AssociateKmsKey",
    "logs:DisassociateKmsKey",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
}


def statements() -> list[dict]:
    blocks = [json.loads(block.text) for block in Page("reference/iam-policy.md").under("What the deployer needs")]
    always, opt_ins = blocks
    return always["Statement"] + opt_ins


def needed(call: dict) -> list[tuple[str, str]]:
    """The actions and resources that AWS checks for a recorded call."""
    service, operation, params = call["service"], call["operation"], call["params"]
    service = {"monitoring": "cloudwatch"}.get(service, service)
    action = {"s3:HeadObject": "s3:GetObject"}.get(f"{service}:{operation}", f"{service}:{operation}")
    actions = [action]
    tag = {"iam": "TagRole"}.get(service, "TagResource")
    if operation.startswith(("Create", "Put")) and (params.get("Tags") or params.get("tags")):
        actions.append(f"{service}:{tag}")
    return [(action, resource) for action in actions for resource in resources(service, operation, params)]


def resources(service: str, operation: str, params: dict) -> list[str]:
    region = rig.REGION
    if arn := params.get("Resource") or params.get("resourceArn") or params.get("ResourceARN"):
        return [arn]
    match service:
        case "lambda":
            return [f"arn:aws:lambda:{region}:{ACCOUNT}:function:{params['FunctionName']}"]
        case "iam":
            return [f"arn:aws:iam::{ACCOUNT}:role/{params['RoleName']}"]
        case "logs" if operation == "DescribeLogGroups":
            return [f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{params['logGroupNamePrefix']}"]
        case "logs":
            return [f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{params['logGroupName']}"]
        case "s3":
            return [f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"]
        case "cloudwatch" if "Dashboard" in operation:
            return [f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}" for name in params.get("DashboardNames", [params.get("DashboardName")])]
        case "cloudwatch":
            return [f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}" for name in params.get("AlarmNames", [params.get("AlarmName")])]
    raise AssertionError(f"which resource is {service}:{operation} for?")


def allowed(action: str, resource: str) -> bool:
    return any(
        action in listed(statement["Action"]) and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        for statement in statements()
    )


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


@pytest.fixture
def calls(workspace, aws, tmp_path) -> list[dict]:
    """The calls of a broker's whole life with every opt-in that creates a resource, in two kinds of settings."""
    if rig.FROM_REGISTRY:
        pytest.skip("the stand-in records its calls")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="zips")
    path = rig.write_zip(tmp_path / "broker.zip")
    s3.put_object(Bucket="zips", Key="broker.zip", Body=path.read_bytes(), ChecksumAlgorithm="SHA256")
    aws.client("logs").create_log_group(logGroupName="cloudtrail")
    pinned = f'lambda_artifact = {{ lambda_source_s3 = {{ bucket = "zips", key = "broker.zip" }}, sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}" }}'
    everything = """
        tags                           = { team = "platform" }
        permissions_boundary_arn       = "arn:aws:iam::aws:policy/Boundary"
        reserved_concurrent_executions = 1
        alarm_actions                  = ["arn:aws:sns:us-east-1:123456789012:on-call"]
        dashboard                      = true
        signing_key_arns               = ["arn:aws:kms:us-east-1:123456789012:key/1234abcd"]
        cloudtrail_log_group_name      = "cloudtrail"
        invoker_role_arns              = { ci = "arn:aws:iam::123456789012:role/ci" }
    """
    recorded = tmp_path / "calls.jsonl"
    root = workspace(record=recorded)
    root.write(f"{pinned}\n{everything}", name=NAME)
    root.apply()
    local = f'lambda_artifact = {{ lambda_zip_path = "{rig.write_zip(tmp_path / "two.zip", "two")}" }}\n log_retention_days = 0'
    root.write(local + everything.replace("team", "unit").replace("/Boundary", "/Other"), name=NAME)
    root.apply()
    assert root.plan() == {}
    root.write(pinned, name=NAME)
    root.apply()
    root.destroy()
    return [call for call in map(json.loads, recorded.read_text().splitlines()) if call["service"] != "sts"]


@pytest.mark.slow
def test_the_deployers_policy_is_what_the_calls_need(calls):
    assert len(calls) > 100
    checks = {check for call in calls for check in needed(call)}
    denied = sorted(check for check in checks if not allowed(*check))
    assert not denied, f"the page's policy does not allow {denied}"
    granted = {action for statement in statements() for action in listed(statement["Action"])}
    unused = granted - {action for action, _ in checks} - NOT_RECORDED
    assert not unused, f"no recorded call needs {sorted(unused)}"


def test_a_call_for_another_resource_is_denied():
    assert allowed("lambda:CreateFunction", f"arn:aws:lambda:{rig.REGION}:{ACCOUNT}:function:{NAME}")
    assert not allowed("lambda:CreateFunction", f"arn:aws:lambda:{rig.REGION}:{ACCOUNT}:function:another")
    assert not allowed("lambda:InvokeFunction", f"arn:aws:lambda:{rig.REGION}:{ACCOUNT}:function:{NAME}")
    assert not allowed("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/admin")
