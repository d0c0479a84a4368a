#!/usr/bin/env python3
"""Writes or checks the files that the vendors' own models determine.

- broker/src/aws/endpoints.txt: AWS's host names for SSM and KMS, by botocore's endpoint rules. A unit test compares the
  function's host names with them, so the tests need no AWS SDK.
- broker/src/scope/permissions.txt: GitHub's permissions of an App and their levels, on github.com or GitHub Enterprise Server, by
  its OpenAPI descriptions. They are for hints only: GitHub decides what is valid.
- broker/src/proof/tests/schemas.json: GitHub's schemas of the two responses that prove a token. A property test generates
  responses from them.

Input: the folder of the OpenAPI descriptions. `--write` updates the files; without it, a difference is an error: a vendor has changed its model.
"""

import json
import pathlib
import re
import sys

import botocore.loaders
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError

SOURCES = pathlib.Path(__file__).parent.parent / "broker" / "src"


def descriptions(folder):
    """GitHub's descriptions: of github.com first, then of each release of GitHub Enterprise Server."""
    github = pathlib.Path(folder, "api.github.com.json")
    enterprise = sorted(path for path in pathlib.Path(folder).glob("ghes-*.json") if re.fullmatch(r"ghes-\d+\.\d+\.json", path.name))
    if not github.is_file() or not enterprise:
        sys.exit(f"{folder} lacks a description of github.com or of GitHub Enterprise Server. If their files have new names, change {__file__}")
    return [github, *enterprise]


def endpoints():
    yield "# Service, region, FIPS, dual-stack, host (- if AWS has none). tests/models.py writes this file from botocore's rules.\n"
    loader = botocore.loaders.Loader()
    partitions = loader.load_data("partitions")
    # Lambda runs in none of the pseudo-regions `...-global`.
    regions = [name for partition in partitions["partitions"] for name in sorted(partition["regions"]) if "-global" not in name]
    for service in ("ssm", "kms"):
        provider = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
        for region in [*regions, "us-future-9", "cn-future-9"]:
            for fips in (False, True):
                for dual_stack in (False, True):
                    try:
                        url = provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack).url
                    except EndpointProviderError:
                        url = "-"
                    yield f"{service} {region} {int(fips)} {int(dual_stack)} {url.removeprefix('https://')}\n"


def permissions(github, enterprise):
    yield "# Permission and its levels. tests/models.py writes this file from GitHub's OpenAPI descriptions.\n"
    schemas = [description["components"]["schemas"]["app-permissions"]["properties"] for description in (*enterprise, github)]
    for name, permission in sorted({name: value for schema in schemas for name, value in schema.items()}.items()):
        yield f"{name} {' '.join(permission['enum'])}\n"


# The parts of a schema that say which values it allows.
CONSTRAINTS = {"type", "enum", "format", "nullable", "required", "properties", "items"}


def schemas(github):
    components, paths = github["components"]["schemas"], github["paths"]

    def constraints(schema):
        while "$ref" in schema:
            schema = components[schema["$ref"].rpartition("/")[2]]
        kept = {name: value for name, value in schema.items() if name in CONSTRAINTS}
        for part in map(constraints, schema.get("allOf", [])):
            properties = kept.get("properties", {}) | part.get("properties", {})
            required = kept.get("required", []) + part.get("required", [])
            kept |= part | {"properties": properties, "required": required}
        if "properties" in kept:
            kept["properties"] = {name: constraints(value) for name, value in kept["properties"].items()}
        if "items" in kept:
            kept["items"] = constraints(kept["items"])
        return kept

    operations = {
        "mint": ("/app/installations/{installation_id}/access_tokens", "post", "201"),
        "list_repositories": ("/installation/repositories", "get", "200"),
    }
    found = {
        call: constraints(paths[path][method]["responses"][status]["content"]["application/json"]["schema"])
        for call, (path, method, status) in operations.items()
    }
    yield json.dumps(found, indent=1) + "\n"


def main():
    folder, *options = sys.argv[1:]
    github, *enterprise = [json.loads(path.read_text()) for path in descriptions(folder)]
    failed = 0
    files = {
        "aws/endpoints.txt": endpoints(),
        "scope/permissions.txt": permissions(github, enterprise),
        "proof/tests/schemas.json": schemas(github),
    }
    for name, lines in files.items():
        path, text = SOURCES / name, "".join(lines)
        if options == ["--write"]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        agrees = path.is_file() and path.read_text() == text
        failed += not agrees
        print(f"{'ok    ' if agrees else 'FAILED'} {path.name}: {text.count(chr(10))} lines{'' if agrees else '; run this with --write'}")
    print(f"{len(files) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
