"""One AWS account in one region, on loopback: creates, updates, reads and deletes what the stand-in provider manages.

Input: a resource type and its planned values. Output: boto3 calls (resources.py). A missing resource is None, not an error.
"""

import json
import os
import threading

import resources

# AWS's names for "it does not exist", by service.
GONE = (
    "NoSuchEntity",
    "NotFoundException",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ParameterNotFound",
    "InvalidGroup.NotFound",
    "InvalidSecurityGroupRuleId.NotFound",
    "InvalidVpcEndpointId.NotFound",
)

_clients = {}
_making_clients = threading.Lock()  # boto3's default session is not safe for two threads at once


def _client(service: str, endpoint: str, region: str):
    with _making_clients:
        import boto3  # slow to load, and most launches of a provider never need it

        key = (service, endpoint, region)
        if key not in _clients:
            _clients[key] = boto3.client(service, endpoint_url=endpoint, region_name=region)
            _clients[key].meta.events.register(f"provide-client-params.{service}", _record)
        return _clients[key]


def _record(params: dict, model, **_) -> None:
    """Appends the call to the file in STANDIN_CALLS, if set: a test compares the calls with the deployer's policy."""
    if path := os.environ.get("STANDIN_CALLS"):
        call = {"service": model.service_model.endpoint_prefix, "operation": model.name, "params": params}
        with open(path, "a", encoding="utf-8") as calls:
            calls.write(json.dumps(call, default=lambda value: f"{len(value)} bytes") + "\n")


class Aws:
    """One account in one region, on loopback."""

    def __init__(self, endpoint: str, region: str):
        self.endpoint, self.region = endpoint, region

    def __getattr__(self, service: str):
        return _client(service, self.endpoint, self.region)

    def create(self, kind: str, planned: dict, config: dict) -> None:
        getattr(resources, f"create_{kind}")(self, planned, config)

    def update(self, kind: str, prior: dict, planned: dict, config: dict) -> None:
        getattr(resources, f"update_{kind}")(self, prior, planned, config)

    def delete(self, kind: str, state: dict) -> None:
        getattr(resources, f"delete_{kind}")(self, state)

    def read(self, kind: str, state: dict) -> dict | None:
        """The resource as AWS shows it, or None if it does not exist."""
        import botocore.exceptions

        try:
            seen = getattr(resources, f"read_{kind}")(self, state)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise
        if seen is not None:
            seen.setdefault("region", self.region)
            if "tags" in seen:
                seen["tags_all"] = seen["tags"]
        return seen

    def data(self, kind: str, config: dict) -> dict:
        if kind == "aws_s3_object":
            return self._s3_object(config)
        if kind == "aws_caller_identity":
            me = self.sts.get_caller_identity()
            return {"id": me["Account"], "account_id": me["Account"], "arn": me["Arn"], "user_id": me["UserId"]}
        if kind == "aws_partition":
            return {"id": "aws", "partition": "aws", "dns_suffix": "amazonaws.com", "reverse_dns_prefix": "com.amazonaws"}
        return {"id": self.region, "name": self.region, "region": self.region, "description": self.region}

    def _s3_object(self, config: dict) -> dict:
        named = {"Bucket": config["bucket"], "Key": config["key"]}
        if config["version_id"]:
            named["VersionId"] = config["version_id"]
        shown = self.s3.head_object(**named, ChecksumMode=config["checksum_mode"])
        self.s3.get_object_tagging(**named)
        return {
            **config,
            "id": f"{config['bucket']}/{config['key']}",
            "version_id": shown.get("VersionId"),
            "checksum_sha256": shown.get("ChecksumSHA256", ""),
            "etag": shown["ETag"],
        }
