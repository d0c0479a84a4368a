"""A stand-in for the AWS provider of Terraform and OpenTofu, for tests on a machine without their registries.

It tests the module's wiring: that the module evaluates with the real provider's schemas (versions 5 and 6), in which order and with
which values resources are created, updated and destroyed, and that a second plan is empty. It does not test whether the real
provider and AWS accept those values: for that, run the same tests with the registry's provider (`make test-terraform
PROVIDER=registry`).

How it differs from the real provider:
- it calls only an AWS on loopback (AWS_ENDPOINT_URL, moto in these tests), and rejects any other endpoint;
- it supports only the types in schemas/, and checks no arguments beyond their schemas;
- rules.py lists by hand which attributes are computed, have defaults or force a replacement;
- it has no import, timeouts, retries or default tags, and does not read inline policies back into a role.

Input: Terraform's provider protocol 6 over a local socket. Output: calls to AWS on loopback. STANDIN_VERSION (5.99.1 or 6.25.0) selects
the schemas. With `--reattach`, it prints the value of TF_REATTACH_PROVIDERS and serves until its standard input closes. There, each line
names the folder for relative paths and the file for recorded calls, and is confirmed with a line.
"""

import functools
import json
import os
import sys
import tempfile
import threading
from concurrent import futures
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from tf.gen import grpc_controller_pb2 as controller
from tf.gen import grpc_controller_pb2_grpc as controller_rpc
from tf.gen import grpc_stdio_pb2_grpc as stdio_rpc
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

from account import Aws
from rules import RULES
from values import UNKNOWN, complete, decode, encode, schema_message, settle

SCHEMAS = json.loads((Path(__file__).parent / "schemas" / f"{os.environ['STANDIN_VERSION']}.json").read_text())
PROVIDER = {"attributes": {"region": {"optional": True, "type": "string"}}}


class Refusal(Exception):
    """An error for the user; it becomes a diagnostic."""


@functools.cache
def provider_schema() -> pb.GetProviderSchema.Response:
    """Terraform requests it several times for each command."""
    return pb.GetProviderSchema.Response(
        provider=schema_message(PROVIDER, {}),
        resource_schemas={name: schema_message(block, RULES[name]) for name, block in SCHEMAS["resource_schemas"].items()},
        data_source_schemas={
            name: schema_message(block, {"computed": [name for name, a in block["attributes"].items() if not a.get("required")]})
            for name, block in SCHEMAS["data_source_schemas"].items()
        },
    )


class Provider(rpc.ProviderServicer):
    """The protocol's calls, generic over the schemas."""

    def __init__(self):
        self.aws = None

    def GetMetadata(self, request, context):
        return pb.GetMetadata.Response(
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in SCHEMAS["resource_schemas"]],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=name) for name in SCHEMAS["data_source_schemas"]],
        )

    def GetProviderSchema(self, request, context):
        return provider_schema()

    def GetFunctions(self, request, context):
        return pb.GetFunctions.Response()

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        response = pb.ConfigureProvider.Response()
        with reported(response):
            region = (decode(request.config) or {}).get("region") or os.environ.get("AWS_REGION")
            if region is None or region is UNKNOWN:
                raise Refusal("the stand-in provider needs a region")
            self.aws = Aws(loopback_endpoint(), region)
        return response

    def UpgradeResourceState(self, request, context):
        block = SCHEMAS["resource_schemas"][request.type_name]
        return pb.UpgradeResourceState.Response(
            upgraded_state=encode(complete(block, json.loads(request.raw_state.json)))
        )

    def ReadResource(self, request, context):
        response = pb.ReadResource.Response()
        with reported(response):
            state = decode(request.current_state)
            seen = self.aws.read(request.type_name, state)
            response.new_state.CopyFrom(encode(None if seen is None else settle(state, seen)))
        return response

    def PlanResourceChange(self, request, context):
        block, rules = SCHEMAS["resource_schemas"][request.type_name], RULES[request.type_name]
        prior, config = decode(request.prior_state), decode(request.config)
        planned = complete(block, decode(request.proposed_new_state))
        replace = []
        if planned is not None:
            replace = plan(block, rules, prior, config, planned)
        return pb.PlanResourceChange.Response(
            planned_state=encode(planned),
            requires_replace=[pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=name)]) for name in replace],
            legacy_type_system=True,  # allows defaults, as the real provider's SDK has them
        )

    def ApplyResourceChange(self, request, context):
        response = pb.ApplyResourceChange.Response(new_state=request.prior_state)
        with reported(response):
            kind, block = request.type_name, SCHEMAS["resource_schemas"][request.type_name]
            prior, planned = decode(request.prior_state), decode(request.planned_state)
            if planned is None:
                self.aws.delete(kind, prior)
                response.new_state.CopyFrom(encode(None))
                return response
            if prior is None:
                self.aws.create(kind, planned, decode(request.config))
            else:
                self.aws.update(kind, prior, planned, decode(request.config))
            seen = self.aws.read(kind, planned)
            state = settle(planned, seen)
            left = [name for name, value in state.items() if value is UNKNOWN]
            if left:
                raise Refusal(f"{kind}: the stand-in does not know {', '.join(left)}")
            # Terraform compares state and plan itself, unless the provider asks it to be tolerant. In that case, this
            # compares the attributes that are not stale.
            stale = RULES[kind].get("stale", ())
            wrong = [name for name in state if name not in stale and not agrees(planned[name], state[name])]
            if stale and wrong:
                raise Refusal(f"{kind}: AWS did not take {', '.join(wrong)} as planned")
            response.legacy_type_system = bool(stale)
            response.new_state.CopyFrom(encode(complete(block, state)))
        return response

    def ReadDataSource(self, request, context):
        response = pb.ReadDataSource.Response()
        with reported(response):
            block = SCHEMAS["data_source_schemas"][request.type_name]
            response.state.CopyFrom(encode(complete(block, self.aws.data(request.type_name, decode(request.config)))))
        return response

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()


def plan(block: dict, rules: dict, prior: dict | None, config: dict, planned: dict) -> list[str]:
    """Adds to `planned` what the provider decides; returns the attributes whose change means a replacement."""
    for name, attribute in block["attributes"].items():
        given = config.get(name)
        if name in rules.get("write_only", ()):
            planned[name] = None
        elif given is None and name in rules.get("defaults", {}):
            planned[name] = rules["defaults"][name]
        elif given is None and prior is None and (attribute.get("computed") or name in rules.get("computed", ())):
            planned[name] = UNKNOWN
    for name, nested in block.get("block_types", {}).items():
        plan_blocks(nested["block"], (prior or {}).get(name) or [], planned[name])
    if "tags_all" in planned:
        planned["tags_all"] = planned["tags"] if planned["tags"] is UNKNOWN else planned["tags"] or {}
    if prior is None:
        return []
    for causes, effects in rules.get("recomputed", ()):
        if any(planned[name] != prior[name] for name in causes):
            planned.update(dict.fromkeys(effects, UNKNOWN))
    return [name for name in rules.get("force_new", ()) if planned[name] != prior[name]]


def plan_blocks(block: dict, prior: list, planned: list) -> None:
    """A computed attribute of a nested block keeps its value, or is unknown in a new block."""
    computed = [name for name, attribute in block["attributes"].items() if attribute.get("computed")]
    if not isinstance(planned, list):
        return
    for i, entry in enumerate(planned):
        entry.update({name: prior[i][name] if i < len(prior) else UNKNOWN for name in computed})


def agrees(planned, state) -> bool:
    """Whether the state is what was planned; a list can be a set, which has no order."""
    if planned is UNKNOWN:
        return True
    if isinstance(planned, dict) and isinstance(state, dict):
        return all(agrees(value, state.get(name)) for name, value in planned.items())
    if isinstance(planned, list) and isinstance(state, list) and len(planned) == len(state):
        return sorted(map(repr, planned)) == sorted(map(repr, state)) or all(map(agrees, planned, state))
    return planned == state


class reported:
    """Turns an exception, from AWS or from here, into the response's diagnostic."""

    def __init__(self, response):
        self.response = response

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _trace):
        if error is None:
            return False
        self.response.diagnostics.append(
            pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=f"{type(error).__name__}: {error}")
        )
        return isinstance(error, Exception)


def loopback_endpoint() -> str:
    """AWS_ENDPOINT_URL, if it is on this machine: this provider must never call a real account."""
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise Refusal(f"the stand-in provider serves tests only: AWS_ENDPOINT_URL must be on loopback, not {url!r}")
    others = [name for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL_") and value]
    if others:
        raise Refusal(f"the stand-in provider uses AWS_ENDPOINT_URL only; unset {', '.join(others)}")
    return url


class Controller(controller_rpc.GRPCControllerServicer):
    """How Terraform ends a provider. Without an answer, every launch would take two more seconds."""

    def __init__(self, ended: threading.Event):
        self.ended = ended

    def Shutdown(self, request, context):
        self.ended.set()
        return controller.Empty()


class Stdio(stdio_rpc.GRPCStdioServicer):
    """Terraform reads a provider's output here; there is none."""

    def StreamStdio(self, request, context):
        return iter(())


def main() -> None:
    ended = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    rpc.add_ProviderServicer_to_server(Provider(), server)
    controller_rpc.add_GRPCControllerServicer_to_server(Controller(ended), server)
    stdio_rpc.add_GRPCStdioServicer_to_server(Stdio(), server)
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/provider.sock"
        # Without TLS: the tests set TF_DISABLE_PLUGIN_TLS, and the socket is in a folder that only this user can open.
        server.add_insecure_port(f"unix://{socket}")
        server.start()
        if "--reattach" in sys.argv:
            address = {"Network": "unix", "String": socket}
            launch = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}
            print(json.dumps({"hashicorp/aws": launch}), flush=True)
            for line in sys.stdin:
                wanted = json.loads(line)
                os.chdir(wanted["folder"])
                os.environ["STANDIN_CALLS"] = wanted["record"]
                print("ok", flush=True)
        else:
            print(f"1|6|unix|{socket}|grpc|", flush=True)
            ended.wait()
        server.stop(grace=0.2).wait()


if __name__ == "__main__":
    main()
