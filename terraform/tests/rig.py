"""The harness of the Python tests: an AWS on loopback (moto), and Terraform or OpenTofu with the provider under test.

Input: TERRAFORM (the tool), PROVIDER (`standin` or `registry`). Output: `Workspace`, a root module in its own folder.
Invariant: no call reaches a real AWS account. The harness builds the tools' environment from scratch.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import boto3
import moto.awslambda.models
import requests
from moto.awslambda.models import LambdaFunction
from moto.server import ThreadedMotoServer

MODULE = Path(__file__).resolve().parents[1]
STAND_IN = MODULE / "tests" / "provider" / "server.py"
VERSIONS = ("5.99.1", "6.25.0")
TOOL = shutil.which(os.environ.get("TERRAFORM", "terraform"))
PLUGINS = MODULE.parent / "target" / "terraform-plugins"  # the registry's provider is large; it is fetched once
FROM_REGISTRY = os.environ.get("PROVIDER") == "registry"
REGION = "us-east-1"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,  # version 1 of the AWS CLI knows only this one
}

# The user's settings (signing, hooks, templates, a language) must not change the results.
NEUTRAL = {"LC_ALL": "C.UTF-8", "GIT_CONFIG_GLOBAL": os.devnull, "CHECKPOINT_DISABLE": "1"}


def clean_environment() -> None:
    """Removes from this process's environment what only some machines have. Every server here is on loopback, which no proxy
    reaches, and a git hook that runs the tests sets variables for its own repository."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("GIT_")]:
        del os.environ[name]
    os.environ.update(NEUTRAL)


class FunctionWithLogging(LambdaFunction):
    """moto's function drops LoggingConfig. AWS keeps and returns it, and so does this one."""

    __module__ = LambdaFunction.__module__  # moto derives a model's service from it

    def __init__(self, account_id: str, spec: dict, *arguments, **named):
        super().__init__(account_id, spec, *arguments, **named)
        self.logging = spec.get("LoggingConfig", {})

    def update_configuration(self, config_updates: dict) -> dict:
        self.logging = config_updates.get("LoggingConfig", self.logging)
        self.tracing_config = config_updates.get("TracingConfig", self.tracing_config)
        return super().update_configuration(config_updates)

    def get_configuration(self, on_create: bool = False) -> dict:
        default = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}"}
        return super().get_configuration(on_create) | {"LoggingConfig": default | self.logging}


moto.awslambda.models.LambdaFunction = FunctionWithLogging


class Aws:
    """moto on a free port, in this process, so that both end together. It also keeps what all tests share: clients, providers, and the
    folders of installed modules."""

    def __init__(self):
        self.clients, self.providers = {}, {}
        self.modules, self.folder = {}, tempfile.TemporaryDirectory()
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def stop(self) -> None:
        for provider in self.providers.values():
            provider.stop()
        self.folder.cleanup()
        self.server.stop()

    def reset(self) -> None:
        """Empties the account."""
        requests.post(f"{self.url}/moto-api/reset", timeout=60).raise_for_status()

    def client(self, service: str):
        if service not in self.clients:  # each one takes a tenth of a second to make
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self.clients[service]

    def provider(self, version: str) -> "RunningProvider":
        """The stand-in with the schemas of that version. It keeps running, which saves its start for each test."""
        if version not in self.providers:
            self.providers[version] = RunningProvider(version, self.url)
        return self.providers[version]

    def function(self, name: str = "broker") -> dict:
        return self.client("lambda").get_function(FunctionName=name)["Configuration"]

    def left(self) -> dict:
        """The existing resources by kind; empty after a destroy."""
        found = {
            "functions": [f["FunctionName"] for f in self.client("lambda").list_functions()["Functions"]],
            "roles": [r["RoleName"] for r in self.client("iam").list_roles()["Roles"]],
            "log groups": [g["logGroupName"] for g in self.client("logs").describe_log_groups()["logGroups"]],
            "alarms": [a["AlarmName"] for a in self.client("cloudwatch").describe_alarms()["MetricAlarms"]],
            "dashboards": [d["DashboardName"] for d in self.client("cloudwatch").list_dashboards()["DashboardEntries"]],
        }
        return {kind: sorted(names) for kind, names in found.items() if names}


class Failed(Exception):
    """A tool ended with an exit code other than 0; the message is its output."""


class Workspace:
    """A root module in a folder, run with one version of the provider.

    The stand-in keeps running, and all tests share it. With `installed`, the tool finds it in a mirror, checks its version and launches it,
    as it does for users. Otherwise there is nothing to install except for the modules, and their folder is copied from an earlier `init`
    of the same modules.
    """

    def __init__(self, folder: Path, aws: Aws, version: str, releases: "Releases", installed: bool = False, record: Path | None = None):
        self.folder, self.aws, self.version, self.provider, self.record = folder, aws, version, None, record
        folder.mkdir(parents=True, exist_ok=True)
        home = folder.parent / f"{folder.name}.home"
        home.mkdir(exist_ok=True)
        self.environment = {
            "PATH": f"{releases.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "TMPDIR": tempfile.gettempdir(),
            "GH_RELEASES": str(releases.folder),
            "GH_LOG": str(releases.log),
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "GOGC": "400",  # Terraform spends a quarter of its time on the garbage of a small heap
            **CREDENTIALS,
        }
        if FROM_REGISTRY:
            self.environment["TF_PLUGIN_CACHE_DIR"] = str(PLUGINS)
            PLUGINS.mkdir(parents=True, exist_ok=True)
        else:
            self.environment["STANDIN_VERSION"] = version
        # Tests this version, whatever versions the configuration allows.
        (folder / "version_override.tf").write_text(
            "terraform {\n required_providers {\n aws = {\n"
            f'  source = "hashicorp/aws"\n  version = "{version}"\n }}\n }}\n}}\n'
        )
        if installed and not FROM_REGISTRY:
            self.environment |= mirror(home, version)
        elif not FROM_REGISTRY:
            self.provider = aws.provider(version)
            self.environment["TF_REATTACH_PROVIDERS"] = self.provider.address

    def write(self, arguments: str, name: str = "broker", more: str = "") -> None:
        """Writes a root module with one broker. `arguments` are HCL lines in addition to the three required ones."""
        needed = {"function_name": name, "repository_owner": "your-org", "repository_name": "your-repo"}
        lines = "\n  ".join(f'{k} = "{v}"' for k, v in needed.items() if not arguments.lstrip().startswith(k))
        (self.folder / "main.tf").write_text(f"""
provider "aws" {{
  region = "{REGION}"
}}
module "broker" {{
  source = "{MODULE}"
  {lines}
  {arguments}
}}
output "broker" {{
  value = module.broker
}}
{more}
""")
        self.init()

    def init(self) -> None:
        """Installs the modules, and the provider if it is `installed`."""
        if self.provider is None:
            self.run("init", "-input=false")
            return
        calls = [re.findall(r'module "(\w+)" {\s*source += "(.*?)"', path.read_text()) for path in self.folder.glob("*.tf")]
        modules, installed = tuple(sorted(sum(calls, []))), self.folder / ".terraform" / "modules"
        if modules in self.aws.modules:
            shutil.rmtree(installed, ignore_errors=True)
            shutil.copytree(self.aws.modules[modules], installed, symlinks=True)
            return
        self.run("init", "-input=false")
        if installed.exists():
            kept = Path(self.aws.folder.name) / str(len(self.aws.modules))
            self.aws.modules[modules] = shutil.copytree(installed, kept, symlinks=True)

    def run(self, *arguments: str) -> str:
        """Runs one command of the tool; returns its output, or raises `Failed` with it."""
        if self.provider:
            self.provider.serve(self.folder, self.record)
        done = subprocess.run(
            [TOOL, *arguments, "-no-color"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(unframed(done.stdout))
        return done.stdout

    def apply(self) -> str:
        """Applies; returns the summary: `Resources: 4 added, 0 changed, 0 destroyed.`"""
        output = self.run("apply", "-input=false", "-auto-approve")
        return re.search(r"(Resources: .*)", output).group(1)

    def plan(self) -> dict:
        """The planned changes: address -> actions."""
        self.run("plan", "-input=false", "-out=plan")
        shown = json.loads(self.run("show", "-json", "plan"))
        changes = {
            change["address"].removeprefix("module.broker."): change["change"]["actions"]
            for change in shown.get("resource_changes", [])
        }
        return {address: actions for address, actions in changes.items() if actions not in (["no-op"], ["read"])}

    def destroy(self) -> str:
        output = self.run("destroy", "-input=false", "-auto-approve")
        return re.search(r"(Resources: .*|Destroy complete.*)", output).group(1)

    def outputs(self) -> dict:
        return json.loads(self.run("output", "-json", "broker"))


class Releases:
    """The releases of the default repository that the stand-in for `gh` serves."""

    def __init__(self, folder: Path):
        self.folder, self.bin, self.log = folder / "releases", folder / "bin", folder / "gh.log"
        self.bin.mkdir()
        put_program(self.bin / "gh", "stand_in_gh.py")
        self.log.touch()

    def publish(self, tag: str, content: str = "one", name: str = "bootstrap") -> Path:
        """Publishes a release with both architectures, in the layout of `make package`; returns its folder."""
        folder = self.folder / "meigma" / "github-token-broker" / tag
        folder.mkdir(parents=True, exist_ok=True)
        zips = [
            write_zip(folder / "github-token-broker.zip", content, name),
            write_zip(folder / "github-token-broker-x86_64.zip", f"{content} on x86_64", name),
        ]
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in zips]
        (folder / "checksums.txt").write_text("".join(lines))
        return folder

    def attest(self, path: Path, workflow: str = "release.yml", ref: str = "refs/tags/v1.1.0", runner: str = "github-hosted") -> None:
        """Signs a file of the default repository, as that workflow on that ref and kind of runner."""
        repository = "meigma/github-token-broker"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with open(self.folder / repository / "attested", "a", encoding="utf-8") as attested:
            attested.write(f"{digest} https://github.com/{repository}/.github/workflows/{workflow}@{ref} {runner}\n")

    def downloads(self) -> int:
        return sum(line.startswith("release download") for line in self.log.read_text().splitlines())


def put_program(path: Path, script: str) -> None:
    """Writes a program to `path` that runs one of the scripts next to this file."""
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {MODULE}/tests/{script} "$@"\n')
    path.chmod(0o755)


def unframed(text: str) -> str:
    """The tool's errors, without the output before them, their frame and their line breaks at 80 columns."""
    errors = text[text.find("Error:") :] if "Error:" in text else text
    return re.sub(r"\s+", " ", re.sub(r"[╷│╵]", " ", errors))


def tool_version() -> tuple[int, ...]:
    shown = json.loads(subprocess.check_output([TOOL, "version", "-json"], env={"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1"}))
    return tuple(map(int, shown["terraform_version"].split("-")[0].split(".")))


class RunningProvider:
    """The stand-in as a process that outlives the commands of the tool. It ends when its input closes."""

    def __init__(self, version: str, url: str):
        self.process = subprocess.Popen(
            [sys.executable, str(STAND_IN), "--reattach"],
            env={"PATH": os.environ["PATH"], "TMPDIR": tempfile.gettempdir(), "STANDIN_VERSION": version, "AWS_ENDPOINT_URL": url, **CREDENTIALS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline()  # the value of TF_REATTACH_PROVIDERS

    def serve(self, folder: Path, record: Path | None) -> None:
        """From now on, relative paths are in `folder`, and the calls are recorded in `record`, if there is one."""
        self.process.stdin.write(json.dumps({"folder": str(folder), "record": str(record or "")}) + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def mirror(folder: Path, version: str) -> dict:
    """Puts the stand-in into a mirror in `folder`, where `init` finds it; returns the environment variables for it."""
    # The mirror's layout contains the host of the tool's registry, which the tool prints.
    ask = folder / "ask"
    ask.mkdir()
    (ask / "main.tf").write_text('terraform {\n required_providers {\n aws = { source = "hashicorp/aws" }\n }\n}\n')
    quiet = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}
    listed = subprocess.check_output([TOOL, "providers"], cwd=ask, env=quiet, text=True)
    address = re.search(r"provider\[([^\]]+)\]", listed).group(1)
    platform = json.loads(subprocess.check_output([TOOL, "version", "-json"], cwd=ask, env=quiet))["platform"]
    program = folder / "mirror" / address / version / platform / f"terraform-provider-aws_v{version}"
    program.parent.mkdir(parents=True)
    # A wrapper: its hash, which the lock file contains, stays the same when the stand-in changes.
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {STAND_IN}\n")
    program.chmod(0o755)
    settings = folder / "cli.tfrc"
    settings.write_text(f'provider_installation {{\n filesystem_mirror {{\n  path = "{folder}/mirror"\n }}\n}}\n')
    return {"TF_CLI_CONFIG_FILE": str(settings), "TF_DISABLE_PLUGIN_TLS": "1", "STANDIN_VERSION": version}


def write_zip(path: Path, content: str = "one", name: str = "bootstrap") -> Path:
    """Writes a zip with one executable; the same content gives the same bytes. It is not compressed: the module reads that faster."""
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, f"#!/bin/sh\necho {content}\n")
    return path


def lambda_hash(path: Path) -> str:
    """The SHA-256 of a zip in Lambda's notation."""
    return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
