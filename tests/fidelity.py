#!/usr/bin/env python3
"""Compares the sandbox's exchanges with the vendors' own models: GitHub's OpenAPI descriptions, and botocore's service models.

Input: a file with one exchange on each line, which the sandbox writes while tests run (SANDBOX_EXCHANGES=FILE), and the folder of GitHub's
descriptions. `--whole-run`: the file is from a run of all tests, so that it must also have the exchanges of the function and the client.
What is served below /api/v3 must follow the descriptions of github.com and of each release of GitHub Enterprise Server, because a caller
there can be of either.

Output: each distinct deviation, and `N passed, N failed`; one test is one kind of exchange, such as `api.github.com GET /app -> 200`. It
checks the requests, and the responses of the sandbox, including errors. It does not check a response that a test supplies, or that is meant
to be unlike the vendor's. A required kind that no exchange has is a failure too.
"""

import base64
import binascii
import collections
import io
import json
import pathlib
import re
import sys
import urllib.parse

import botocore.parsers
import botocore.session
from botocore.awsrequest import HeadersDict
from jsonschema import FormatChecker
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from models import descriptions

# Errors that every service of AWS can return; a service's own model does not list them.
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
COMMON_ERRORS = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InternalFailure",
    "InternalServerError",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
}
# Errors that AWS's documentation of a feature describes, and the model does not list: a missing secret behind a parameter.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html
UNMODELED_ERRORS = {("GetParameters", "ParameterNotFound")}
# Bodies that GitHub sends for errors that an operation's description does not list.
BASIC_ERROR = "urn:github#/components/schemas/basic-error"
# What the function and the client must send to GitHub with every request. Other clients have their own choice.
USER_AGENT = "github-token-broker"
GITHUB_HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
SERVICES = {"AmazonSSM": "ssm", "TrentService": "kms"}
# GitHub can answer any request with one of these.
# https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
REDIRECTS = (301, 302, 307)

# Without these kinds, a run has not checked enough. tests/clients.py causes the first two sets: the part of GitHub that Octokit uses, and each
# operation of the sandbox's AWS.
CLIENTS_GITHUB = {
    "GET /repos/{owner}/{repo}/installation -> 200",
    "POST /app/installations/{installation_id}/access_tokens -> 201",
    "GET /repos/{owner}/{repo} -> 200",
    "GET /repos/{owner}/{repo} -> 401",
    "GET /repos/{owner}/{repo} -> 404",
    "DELETE /installation/token -> 204",
}
CLIENTS_AWS = {
    "iam": "GetAccountAuthorizationDetails GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies PutRolePolicy SimulatePrincipalPolicy",
    "kms": "CancelKeyDeletion CreateAlias CreateKey DeleteAlias DeleteImportedKeyMaterial DescribeKey DisableKey EnableKey GetKeyPolicy "
    "GetParametersForImport GetPublicKey ImportKeyMaterial ListAliases ListKeys PutKeyPolicy ScheduleKeyDeletion Sign UpdateAlias",
    "lambda": "GetFunction GetFunctionConfiguration Invoke",
    "ssm": "DeleteParameter DescribeParameters GetParameter GetParameters GetParametersByPath PutParameter",
    "sts": "AssumeRole AssumeRoleWithWebIdentity GetCallerIdentity",
}
# What the function and the client use, in the tests of the whole run.
OUR_GITHUB = {
    "GET /repos/{owner}/{repo}/installation -> 200",
    "POST /app/installations/{installation_id}/access_tokens -> 201",
    "GET /installation/repositories -> 200",
    "DELETE /installation/token -> 204",
    "GET /app -> 200",
    "GET /rate_limit -> 200",
    "POST /app-manifests/{code}/conversions -> 201",
}
OUR_AWS = {
    "iam": "GetAccountAuthorizationDetails GetRolePolicy ListRolePolicies SimulatePrincipalPolicy",
    "kms": "CreateAlias CreateKey DescribeKey GetKeyPolicy GetParametersForImport GetPublicKey ImportKeyMaterial ScheduleKeyDeletion Sign "
    "UpdateAlias",
    "lambda": "GetFunctionConfiguration GetPolicy Invoke",
    "ssm": "DeleteParameter DescribeParameters GetParameter GetParameters PutParameter",
    "sts": "GetCallerIdentity",
}
# Errors of the sandbox, some of them from its faults.
OUR_ERRORS = {
    *(f"api.github.com GET /repos/{{owner}}/{{repo}}/installation -> {status}" for status in (301, 302, 401, 403, 404, 503)),
    *(f"api.github.com POST /app/installations/{{installation_id}}/access_tokens -> {status}" for status in (422, 503)),
    *(f"api.github.com GET /installation/repositories -> {status}" for status in (401, 404, 503)),
    *(f"AWS ssm GetParameters -> {status}" for status in (400, 500, 503)),
    *(f"AWS kms Sign -> {status}" for status in (400, 500, 503)),
    "AWS iam SimulatePrincipalPolicy -> 403",
    "AWS lambda GetPolicy -> 404",
}
# GraphQL, the web site and git have no description.
UNDESCRIBED = "github-web"


FORMATS = FormatChecker(())
FORMATS.checkers = dict(oas30_format_checker.checkers)


@FORMATS.checks("uri")
def is_uri(value):
    if not isinstance(value, str):
        return True
    # https://datatracker.ietf.org/doc/html/rfc3986#appendix-A
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", value))


class GitHub:
    """GitHub's OpenAPI description."""

    def __init__(self, path):
        self.name = path.stem
        # With a name of its own, the description can be referred to from each of its schemas.
        self.description = json.loads(path.read_text().replace('"#/components/', '"urn:github#/components/'))
        resource = Resource(contents=self.description, specification=DRAFT4)
        self.registry = Registry().with_resource("urn:github", resource)
        self.operations = []
        for template, methods in self.description["paths"].items():
            pattern = re.compile(re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(template)))
            self.operations += [(pattern, template, method.upper(), operation) for method, operation in methods.items()]
        self.operations.sort(key=lambda operation: operation[1].count("{"))  # a literal path before a template

    def deviations(self, schema, instance):
        missing = collections.defaultdict(list)
        for error in OAS30Validator(schema, registry=self.registry, format_checker=FORMATS).iter_errors(instance):
            if error.validator == "required":
                missing[error.json_path].append(error.message.split("'")[1])
            else:
                yield f"{error.json_path}: {error.message[:200]}"
        for path, names in missing.items():
            yield f"{path}: it lacks {len(names)} required fields: {', '.join(names)}"

    def resolve(self, node):
        return self.registry.resolver().lookup(node["$ref"]).contents if "$ref" in node else node

    def check(self, exchange):
        """(kind of exchange, its deviations)"""
        path, _, query = exchange["path"].partition("?")
        found = [o for o in self.operations if o[2] == exchange["method"] and o[0].fullmatch(path)]
        if not found:
            return f"{self.name} {exchange['method']} {path}", ["GitHub has no such operation"]
        _, template, method, operation = found[0]
        response = exchange["response"]
        status = response["status"]
        deviations = list(self.check_query(operation, query))
        for name, value in GITHUB_HEADERS.items() if is_ours(exchange) else []:
            if exchange["request"]["headers"].get(name) != value:
                deviations.append(f"request: the header {name} is {exchange['request']['headers'].get(name)!r}")
        body = exchange["request"]["body"]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        # A request that GitHub has to reject breaks its model on purpose.
        if status in (400, 422):
            content = body = None
        if body and not content:
            deviations.append("request: it has a body, but the operation takes none")
        elif body:
            if exchange["request"]["headers"].get("content-type", "").split(";")[0] != "application/json":
                deviations.append("request: its body is not declared as application/json")
            deviations += [f"request {text}" for text in self.deviations(content["schema"], json.loads(body))]
        if not exchange["unmodeled"]:
            deviations += [f"response {text}" for text in self.check_response(operation, status, response)]
        return f"{self.name} {method} {template} -> {outcome(exchange)}", deviations

    def check_query(self, operation, query):
        parameters = [self.resolve(parameter) for parameter in operation.get("parameters", [])]
        schemas = {parameter["name"]: parameter["schema"] for parameter in parameters if parameter["in"] == "query"}
        for name, text in urllib.parse.parse_qsl(query, keep_blank_values=True):
            if name not in schemas:
                yield f"request: the operation has no query parameter {name}"
                continue
            is_number = self.resolve(schemas[name]).get("type") == "integer" and re.fullmatch(r"-?\d+", text)
            for deviation in self.deviations(schemas[name], int(text) if is_number else text):
                yield f"request: the query parameter {name}: {deviation}"

    def check_response(self, operation, status, response):
        documented = self.resolve(operation["responses"].get(str(status), {}))
        if not documented and status < 400 and status not in REDIRECTS:
            return [f"the operation has no response {status}"]
        if "x-github-request-id" not in response["headers"]:
            return ["it has no x-github-request-id"]
        if status in (204, 304):
            return ["it has a body"] if response["body"] else []
        content = documented.get("content", {}).get("application/json", {"schema": {"$ref": BASIC_ERROR}})
        try:
            instance = json.loads(response["body"])
        except ValueError:
            return ["its body is not JSON"]
        deviations = list(self.deviations(content["schema"], instance))
        if status >= 300:
            missing = {"message", "documentation_url", "status"} - instance.keys()
            deviations += [f"it lacks {', '.join(sorted(missing))}"] if missing else []
            if instance.get("status", str(status)) != str(status):
                deviations.append(f"$.status: it is {instance['status']!r}, not {str(status)!r}")
        if status in REDIRECTS and "location" not in response["headers"]:
            deviations.append("it has no location")
        return deviations


class Aws:
    """botocore's service models."""

    def __init__(self):
        self.session = botocore.session.get_session()
        self.models = {}

    def model(self, service):
        if service not in self.models:
            self.models[service] = self.session.get_service_model(service)
        return self.models[service]

    def operation(self, exchange):
        """(service, operation) of a request, by the protocol of the service; `None` if there is no such operation."""
        path, _, _ = exchange["path"].partition("?")
        prefix, _, name = exchange["request"]["headers"].get("x-amz-target", "").partition(".")
        form = dict(urllib.parse.parse_qsl(exchange["request"]["body"]))
        if prefix in SERVICES:
            return SERVICES[prefix], name
        if "Action" in form:
            services = [name for name in ("sts", "iam") if self.model(name).api_version == form.get("Version")]
            return (services or ["sts"])[0], form["Action"]
        for name in self.model("lambda").operation_names if path.startswith("/2015-03-31/functions") else []:
            http = self.model("lambda").operation_model(name).http
            template, _, _ = http["requestUri"].partition("?")
            if http["method"] == exchange["method"] and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                return "lambda", name
        return None

    def check(self, exchange):
        found = self.operation(exchange)
        if not found:
            target = exchange["request"]["headers"].get("x-amz-target", "")
            return f"AWS {exchange['method']} {exchange['path']} {target}".strip(), ["AWS has no such operation"]
        service, name = found
        model = self.model(service)
        kind = f"AWS {service} {name} -> {outcome(exchange)}"
        if name not in model.operation_names:
            return kind, ["AWS has no such operation"]
        operation = model.operation_model(name)
        if model.metadata["protocol"] != "json":
            return kind, list(self.check_other(service, operation, exchange))
        body = json.loads(exchange["request"]["body"] or "{}")
        shape = operation.input_shape
        deviations = [f"request{text}" for text in [*self.deviations(shape, body, ""), *self.limits(shape, body, "")]]
        version = f"application/x-amz-json-{model.metadata['jsonVersion']}"
        if exchange["request"]["headers"].get("content-type") != version:
            deviations.append(f"request: its content type is not {version}")
        if not exchange["unmodeled"]:
            deviations += [f"response{text}" for text in self.check_response(operation, version, exchange["response"])]
        return kind, deviations

    def check_other(self, service, operation, exchange):
        """Lambda has a REST protocol, STS and IAM take forms and answer in XML: botocore's own parsers read the response."""
        members = operation.input_shape.members
        for name in dict(urllib.parse.parse_qsl(exchange["request"]["body"])) if service != "lambda" else []:
            if name.split(".")[0] not in members and name not in ("Action", "Version"):
                yield f"request.{name}: the model has no such parameter"
        if exchange["unmodeled"]:
            return
        response = exchange["response"]
        protocol = operation.service_model.metadata["protocol"]
        raw = {"status_code": response["status"], "headers": HeadersDict(response["headers"]), "body": response["body"].encode()}
        output = operation.output_shape
        is_blob = output is not None and output.serialization.get("payload")
        try:
            if is_blob and response["status"] < 300:  # the function's own response
                raw["body"] = io.BytesIO(raw["body"])
            parsed = botocore.parsers.create_parser(protocol).parse(raw, output)
        except botocore.parsers.ResponseParserError as error:
            yield f"response: botocore cannot parse it: {error}"
            return
        if not parsed.get("ResponseMetadata", {}).get("RequestId"):
            yield "response: it has no request ID"
        if response["status"] >= 300:
            code = parsed.get("Error", {}).get("Code", "")
            known = {shape.metadata.get("error", {}).get("code", shape.name) for shape in operation.error_shapes}
            known |= {shape.name for shape in operation.error_shapes}
            if code not in known | COMMON_ERRORS:
                yield f"response: the operation has no error {code!r}"
        elif output is not None:
            for name in output.required_members:
                if name not in parsed:
                    yield f"response.{name}: it is missing"
            if protocol == "rest-json" and not is_blob:
                yield from (f"response{text}" for text in self.deviations(output, json.loads(response["body"]), ""))

    def check_response(self, operation, version, response):
        headers = response["headers"]
        if headers.get("content-type") != version:
            yield f": its content type is {headers.get('content-type')!r}, not {version}"
        if "x-amzn-requestid" not in headers:
            yield ": it has no x-amzn-requestid"
        body = json.loads(response["body"] or "{}")
        if response["status"] == 200:
            if operation.output_shape:
                yield from self.deviations(operation.output_shape, body, "")
            return
        # https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
        if not isinstance(body.get("message", body.get("Message")), str) or body.keys() - {"__type", "message", "Message"}:
            yield f": its members are {', '.join(sorted(body))}, not __type and message"
        code = body.get("__type", "").split("#")[-1]
        shapes = {shape.metadata.get("error", {}).get("code", shape.name): shape for shape in operation.error_shapes}
        shapes |= {shape.name: shape for shape in operation.error_shapes}
        if code not in shapes and code not in COMMON_ERRORS and (operation.name, code) not in UNMODELED_ERRORS:
            yield f": the operation has no error {code!r}"
        if code in shapes and "httpStatusCode" in shapes[code].metadata.get("error", {}):
            expected = shapes[code].metadata["error"]["httpStatusCode"]
            if response["status"] != expected:
                yield f": {code} has status {response['status']}, not {expected}"

    def deviations(self, shape, value, path):
        """Where a JSON value differs from a shape: unknown and missing members, and types."""
        kind = shape.type_name
        wrong = {
            "structure": lambda: not isinstance(value, dict),
            "map": lambda: not isinstance(value, dict),
            "list": lambda: not isinstance(value, list),
            "string": lambda: not isinstance(value, str),
            "boolean": lambda: not isinstance(value, bool),
            "blob": lambda: not is_base64(value),
        }.get(kind, lambda: isinstance(value, bool) or not isinstance(value, (int, float)))()
        if wrong:
            yield f"{path}: it is not a {kind}: {str(value)[:80]!r}"
        elif kind == "structure":
            for name in value.keys() - shape.members.keys():
                yield f"{path}.{name}: the model has no such member"
            for name in set(shape.required_members) - value.keys():
                yield f"{path}.{name}: it is missing"
            for name in value.keys() & shape.members.keys():
                yield from self.deviations(shape.members[name], value[name], f"{path}.{name}")
        elif kind == "list":
            for item in value:
                yield from self.deviations(shape.member, item, f"{path}[]")
        elif kind == "map":
            for item in value.values():
                yield from self.deviations(shape.value, item, f"{path}{{}}")

    def limits(self, shape, value, path):
        """Where a request breaks a limit of length, a pattern or an enum. AWS's own responses break theirs: an empty list where
        the model has a minimum of 1."""
        kind = shape.type_name
        if kind == "structure" and isinstance(value, dict):
            for name in value.keys() & shape.members.keys():
                yield from self.limits(shape.members[name], value[name], f"{path}.{name}")
        elif kind == "list" and isinstance(value, list):
            for item in value:
                yield from self.limits(shape.member, item, f"{path}[]")
        if kind in ("string", "list") or kind == "blob" and is_base64(value):
            length = len(base64.b64decode(value)) if kind == "blob" else len(value)
            low, high = shape.metadata.get("min", 0), shape.metadata.get("max", sys.maxsize)
            if not low <= length <= high:
                yield f"{path}: its length {length} is not between {low} and {high}"
        if kind == "string":
            if shape.enum and value not in shape.enum:
                yield f"{path}: {value!r} is not one of {', '.join(shape.enum)}"
            if "pattern" in shape.metadata and not re.fullmatch(shape.metadata["pattern"], value):
                yield f"{path}: {value!r} does not match {shape.metadata['pattern']}"


def is_ours(exchange):
    """Whether the function or the client sent the request. The client uses the AWS SDK for STS."""
    return exchange["request"]["headers"].get("user-agent", "").startswith((USER_AGENT, "aws-sdk-rust"))


def outcome(exchange):
    """A response that no model describes is not checked, so its status does not matter."""
    return "(no model)" if exchange["unmodeled"] else exchange["response"]["status"]


def is_base64(value):
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except binascii.Error:
        return False


def self_test(github, aws):
    """Each deviation must be found, so a check that finds none is worth something."""
    mint = {
        "service": "github",
        "unmodeled": False,
        "method": "POST",
        "path": "/app/installations/1/access_tokens",
        "request": {"headers": GITHUB_HEADERS | {"content-type": "application/json", "user-agent": USER_AGENT}, "body": '{"permissions":{"contents":"read"}}'},
        "response": {
            "status": 201,
            "headers": {"x-github-request-id": "1"},
            "body": '{"token":"t","expires_at":"2026-01-01T00:00:00Z","permissions":{"contents":"read"}}',
        },
    }
    repositories = mint | {
        "method": "GET",
        "path": "/installation/repositories?per_page=2",
        "request": {"headers": GITHUB_HEADERS | {"user-agent": USER_AGENT}, "body": ""},
        "response": mint["response"] | {"status": 200, "body": '{"total_count":0,"repositories":[]}'},
    }
    sign = {
        "service": "aws",
        "unmodeled": False,
        "method": "POST",
        "path": "/",
        "request": {
            "headers": {"x-amz-target": "TrentService.Sign", "content-type": "application/x-amz-json-1.1"},
            "body": '{"KeyId":"alias/a","Message":"YQ==","MessageType":"RAW","SigningAlgorithm":"RSASSA_PKCS1_V1_5_SHA_256"}',
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": "1"},
            "body": '{"KeyId":"arn:aws:kms:a:1:key/1","Signature":"YQ==","SigningAlgorithm":"RSASSA_PKCS1_V1_5_SHA_256"}',
        },
    }
    invoke = {
        "service": "aws",
        "unmodeled": False,
        "method": "POST",
        "path": "/2015-03-31/functions/github-token-broker/invocations",
        "request": {"headers": {}, "body": "null"},
        "response": {"status": 200, "headers": {"x-amzn-requestid": "1", "x-amz-executed-version": "$LATEST"}, "body": "{}"},
    }
    identity = {
        "service": "aws",
        "unmodeled": False,
        "method": "POST",
        "path": "/",
        "request": {"headers": {}, "body": "Action=GetCallerIdentity&Version=2011-06-15"},
        "response": {
            "status": 200,
            "headers": {},
            "body": "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>"
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        },
    }
    changes = [
        (aws, invoke, "response", "headers", {}, "no request ID"),
        (aws, identity, "request", "body", "Action=GetCallerIdentity&Version=2011-06-15&Extra=1", "Extra"),
        (aws, identity, "response", "body", "not XML", "cannot parse"),
        (github, mint, "request", "body", '{"permissions":{"contents":"admin"}}', "admin"),
        (github, mint, "response", "body", '{"token":"t"}', "expires_at"),
        (github, mint, "response", "status", 200, "no response 200"),
        (github, mint, "response", "headers", {}, "x-github-request-id"),
        (github, mint, "request", "headers", {"user-agent": USER_AGENT}, "header accept"),
        (aws, sign, "request", "body", '{"KeyId":"a","Message":"YQ==","Algorithm":"x"}', "Algorithm"),
        (aws, sign, "request", "body", '{"KeyId":"a","Message":"not base64!","SigningAlgorithm":"RSASSA_PKCS1_V1_5_SHA_256"}', "blob"),
        (aws, sign, "request", "body", '{"KeyId":"a","Message":"YQ==","SigningAlgorithm":"NONE"}', "not one of"),
        (aws, sign, "request", "body", '{"KeyId":"","Message":"YQ==","SigningAlgorithm":"RSASSA_PKCS1_V1_5_SHA_256"}', "length 0"),
        (aws, sign, "response", "body", '{"Signature":"YQ==","Extra":1}', "Extra"),
        (aws, sign, "response", "status", 400, "no error"),
        (aws, sign, "response", "status", 400, "not __type and message"),
        (github, mint, "response", "status", 500, "lacks documentation_url, message, status"),
        (github, mint, "response", "status", 302, "no location"),
    ]
    paths = [
        (github, mint, "/app/installations/1/access_tokens?scope=all", "no query parameter scope"),
        (github, repositories, "/installation/repositories?per_page=many", "'many' is not of type 'integer'"),
        (github, repositories, "/installation/repository", "no such operation"),
        (aws, invoke, "/2015-03-31/function", "no such operation"),
    ]
    for vendor, exchange in ((github, mint), (github, repositories), (aws, sign), (aws, invoke), (aws, identity)):
        if deviations := vendor.check(exchange)[1]:
            sys.exit(f"self-test of the fidelity check: a good exchange deviates: {deviations}")
    changed = [(vendor, exchange | {part: exchange[part] | {field: value}}, expected) for vendor, exchange, part, field, value, expected in changes]
    changed += [(vendor, exchange | {"path": path}, expected) for vendor, exchange, path, expected in paths]
    for vendor, exchange, expected in changed:
        deviations = vendor.check(exchange)[1]
        if expected not in " ".join(deviations):
            sys.exit(f"self-test of the fidelity check: {expected} was not found in {deviations}")
    formats = {
        "uri": ("https://a.example/b?c=%20#d", "/relative", "https://a b", "https://a/{b}"),
        "date-time": ("2026-01-01T00:00:00Z", "2026-01-01", "2026-13-01T00:00:00Z"),
    }
    for name, (good, *bad) in formats.items():
        wrong = [value for value in bad if not list(github.deviations({"type": "string", "format": name}, value))]
        if wrong or list(github.deviations({"type": "string", "format": name}, good)):
            sys.exit(f"self-test of the fidelity check: the format {name} is wrong for {wrong or good}")


def missing_kinds(kinds, ours, names, whole_run):
    """The required kinds that no exchange has. `names` are those of GitHub's descriptions."""

    def required(of_github, of_aws):
        yield from (f"{name} {kind}" for name in names for kind in of_github)
        yield from (f"AWS {service} {operation} -> 200" for service, operations in of_aws.items() for operation in operations.split())

    missing = {f"{kind}: tests/clients.py did not cause it" for kind in {*required(CLIENTS_GITHUB, CLIENTS_AWS)} - kinds}
    if whole_run:
        expected = OUR_ERRORS.union(required(OUR_GITHUB, OUR_AWS))
        missing |= {f"{kind}: neither the function nor the client caused it" for kind in expected - ours}
    return sorted(missing)


def main():
    *options, exchanges, folder = sys.argv[1:]
    aws = Aws()
    github, *enterprise = map(GitHub, descriptions(folder))
    vendors = {"aws": [aws], "github": [github], "github-enterprise": [github, *enterprise], UNDESCRIBED: []}
    self_test(github, aws)
    kinds, ours, number = collections.defaultdict(set), set(), 0
    # What follows the last line break is empty, or a line that another suite is writing. JSON can contain the other separators of `splitlines`.
    for line in pathlib.Path(exchanges).read_text(encoding="utf-8").split("\n")[:-1]:
        exchange = json.loads(line)
        number += 1
        for vendor in vendors[exchange["service"]]:
            kind, deviations = vendor.check(exchange)
            kinds[kind].update(deviations)
            if is_ours(exchange):
                ours.add(kind)
    names = [description.name for description in (github, *enterprise)]
    missing = missing_kinds(kinds.keys(), ours, names, "--whole-run" in options)
    for kind, deviations in sorted(kinds.items()):
        print("FAILED" if deviations else "ok    ", kind)
        for text in sorted(deviations):
            print(f"       {text}")
    for text in missing:
        print("FAILED", text)
    failed = sum(map(bool, kinds.values()))
    print(f"{number} exchanges of {len(kinds)} kinds")
    print(f"{len(kinds) - failed} passed, {failed + len(missing)} failed")
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
