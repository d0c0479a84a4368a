"""The metric filter on CloudTrail matches exactly the signatures of principals outside the expected roles.

moto stores a filter pattern but does not evaluate it, so this file does, by CloudWatch's documentation of patterns for JSON: a comparison
with a field that does not exist is false.
"""

import re

import pytest

import rig

TOKEN = re.compile(r'\s*(\(|\)|&&|\|\||NOT EXISTS|IS TRUE|IS FALSE|!=|=|\$\.[\w.\[\]]+|"[^"]*")')
KEYS = ["arn:aws:kms:us-east-1:123456789012:key/1", "arn:aws:kms:us-east-1:123456789012:key/2"]
BROKER = "arn:aws:iam::123456789012:role/broker"
OTHER_BROKER = "arn:aws:iam::123456789012:role/other-broker"


def matches(pattern: str, event: dict) -> bool:
    tokens = TOKEN.findall(pattern.strip().removeprefix("{").removesuffix("}"))
    assert "".join(tokens).replace(" ", "") == pattern.strip("{} ").replace(" ", ""), "the pattern has a token that this parser does not know"
    result, rest = alternatives(tokens, event)
    assert not rest, f"{rest} is left of the pattern"
    return result


def alternatives(tokens: list, event: dict) -> tuple[bool, list]:
    """`a && b || c`, left to right, as CloudWatch reads it; the pattern uses parentheses wherever that matters."""
    result, tokens = term(tokens, event)
    while tokens and tokens[0] in ("&&", "||"):
        operator, (right, tokens) = tokens[0], term(tokens[1:], event)
        result = result and right if operator == "&&" else result or right
    return result, tokens


def term(tokens: list, event: dict) -> tuple[bool, list]:
    if tokens[0] == "(":
        result, tokens = alternatives(tokens[1:], event)
        assert tokens[0] == ")"
        return result, tokens[1:]
    value = field(event, tokens[0])
    match tokens[1]:
        case "NOT EXISTS":
            return value is None, tokens[2:]
        case "IS TRUE" | "IS FALSE":
            return value is (tokens[1] == "IS TRUE"), tokens[2:]
        case "=":
            return value is not None and value == tokens[2].strip('"'), tokens[3:]
        case "!=":
            return value is not None and value != tokens[2].strip('"'), tokens[3:]
    raise AssertionError(f"unknown operator {tokens[1]}")


def field(event: dict, selector: str):
    value = event
    for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", selector.removeprefix("$.")):
        value = value.get(name) if isinstance(value, dict) else None
        if index and value is not None:
            value = value[int(index)] if int(index) < len(value) else None
    return value


def signature(**changes) -> dict:
    """CloudTrail's event for a Sign call, by a session of the broker's role unless `role` says otherwise."""
    role = changes.pop("role", BROKER)
    event = {
        "eventSource": "kms.amazonaws.com",
        "eventName": "Sign",
        "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role}}},
        "requestParameters": {"keyId": KEYS[0], "messageType": "RAW", "signingAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"},
        "resources": [{"type": "AWS::KMS::Key", "ARN": KEYS[0]}],
    }
    return event | changes


@pytest.fixture(scope="module")
def patterns(_moto, tmp_path_factory) -> dict:
    """The pattern that an apply creates, with the default and with two expected roles."""
    _moto.reset()
    folder = tmp_path_factory.mktemp("filter")
    path = rig.write_zip(folder / "broker.zip")
    logs = _moto.client("logs")
    logs.create_log_group(logGroupName="cloudtrail")
    root = rig.Workspace(folder / "root", _moto, rig.VERSIONS[-1], rig.Releases(folder))
    found = {}
    for name, roles in {"default": "", "shared": f'signing_role_arns = ["{BROKER}", "{OTHER_BROKER}"]'}.items():
        root.write(f"""
            lambda_artifact           = {{ lambda_zip_path = "{path}" }}
            alarm_actions             = ["arn:aws:sns:us-east-1:123456789012:on-call"]
            signing_key_arns          = ["{KEYS[0]}", "{KEYS[1]}"]
            cloudtrail_log_group_name = "cloudtrail"
            {roles}
        """)
        root.apply()
        (shown,) = logs.describe_metric_filters(logGroupName="cloudtrail")["metricFilters"]
        found[name] = shown["filterPattern"]
    return found


ADMIN = "arn:aws:iam::123456789012:role/admin"
USER = {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/alice"}
OTHER_ACCOUNT = {"type": "AWSAccount", "accountId": "210987654321"}
ALARMS = {
    "another role": signature(role=ADMIN),
    "a role whose name starts with the broker's": signature(role=BROKER + "-evil"),
    "a user": signature(userIdentity=USER),
    "the root user": signature(userIdentity={"type": "Root"}),
    "another account": signature(userIdentity=OTHER_ACCOUNT),
    "the second key": signature(role=ADMIN, resources=[{"ARN": KEYS[1]}]),
    "an explicit dryRun of false": signature(role=ADMIN, requestParameters={"dryRun": False}),
}
QUIET = {
    "the broker": signature(),
    "the broker with the second key": signature(resources=[{"ARN": KEYS[1]}]),
    "a dry run": signature(role=ADMIN, requestParameters={"dryRun": True}, errorCode="DryRunOperationException"),
    "a dry run without an error": signature(role=ADMIN, requestParameters={"dryRun": True}),
    "a denied call": signature(role=ADMIN, errorCode="AccessDenied"),
    "another key": signature(role=ADMIN, resources=[{"ARN": "arn:aws:kms:us-east-1:123456789012:key/3"}]),
    "another call": signature(role=ADMIN, eventName="GetPublicKey"),
    "another service": signature(role=ADMIN, eventSource="signer.amazonaws.com"),
}


@pytest.mark.parametrize("event", ALARMS)
def test_a_foreign_signature_triggers_the_alarm(patterns, event):
    assert matches(patterns["default"], ALARMS[event])
    assert matches(patterns["shared"], ALARMS[event])


@pytest.mark.parametrize("event", QUIET)
def test_another_event_does_not_trigger_the_alarm(patterns, event):
    assert not matches(patterns["default"], QUIET[event])
    assert not matches(patterns["shared"], QUIET[event])


def test_an_expected_role_is_foreign_unless_it_is_listed(patterns):
    event = signature(role=OTHER_BROKER)
    assert matches(patterns["default"], event)
    assert not matches(patterns["shared"], event)
