#!/usr/bin/env python3
"""Writes or checks broker/src/aws/endpoints.txt: AWS's host names for SSM and KMS, by botocore's own endpoint rules.

A unit test compares the function's host names with this file, so the tests need no AWS SDK. `--write` updates the file; without it,
a difference is an error: botocore has learned a new region or rule.
"""

import pathlib
import sys

import botocore.loaders
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError

FILE = pathlib.Path(__file__).parent.parent / "broker" / "src" / "aws" / "endpoints.txt"
HEADER = "# Service, region, FIPS, dual-stack, host (- if AWS has none). tests/endpoints.py writes this file from botocore's rules.\n"


def rows():
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


def main():
    text = HEADER + "".join(rows())
    if sys.argv[1:] == ["--write"]:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text)
    if not FILE.is_file() or FILE.read_text() != text:
        print(f"FAILED: {FILE} differs from botocore's rules: run `target/venv/bin/python tests/endpoints.py --write`")
        print("0 passed, 1 failed")
        return 1
    print(f"{text.count(chr(10)) - 1} host names agree with botocore's rules")
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
