"""The module agrees with the binary, with its own README and with its examples; and an auditor has nothing to say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import readme
import rig
from tutorial import Page

ROOT = rig.MODULE.parent
EXAMPLES = sorted(path.parent.name for path in (rig.MODULE / "examples").glob("*/main.tf"))

# What a caller of the published module relies on; more may be added, none of these may go.
CONTRACT_INPUTS = {
    "function_name", "repository_owner", "repository_name", "lambda_artifact", "release_repository", "permissions",
    "ssm_parameter_paths", "kms_key_arn", "github_api_base_url", "log_level", "architecture", "memory_size", "timeout",
    "log_retention_days", "tags",
}  # fmt: skip
CONTRACT_OUTPUTS = {
    "function_arn", "function_name", "function_invoke_arn", "role_arn", "role_name", "log_group_name",
    "deployed_version",
}  # fmt: skip


def test_the_environment_is_the_binarys_own():
    """From the binary's code, not from a list: every variable that it reads can be set here, and no other is."""
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    read = set(re.findall(r'"(GITHUB_TOKEN_BROKER_[A-Z_]+)"', code))
    given = set(re.findall(r"GITHUB_TOKEN_BROKER_[A-Z_]+", (rig.MODULE / "main.tf").read_text()))
    assert read, "no variable was found in src/"
    assert given == read


def test_the_alarm_on_unproven_tokens_watches_what_the_binary_sends():
    (watched,) = re.findall(r'\[var\.metrics_namespace, "(\w+)",', (rig.MODULE / "alarms.tf").read_text())
    code = (ROOT / "src" / "metrics.rs").read_text()
    for_each_function = code[code.index('"Dimensions": [["FunctionName"]]') :].split('"Dimensions"')[1]
    assert f'count("{watched}")' in for_each_function


def test_the_contracts_inputs_and_outputs_are_there():
    inputs = dict(readme.blocks("variables.tf", "variable"))
    outputs = dict(readme.blocks("outputs.tf", "output"))
    assert CONTRACT_INPUTS <= set(inputs)
    assert CONTRACT_OUTPUTS <= set(outputs)
    required = {name for name, body in inputs.items() if "default" not in body}
    assert required == {"function_name", "repository_owner", "repository_name", "lambda_artifact"}


def test_the_readme_is_what_the_generator_writes():
    assert (rig.MODULE / "README.md").read_text() == readme.page(), "run: python terraform/tests/readme.py --write"


def test_the_pages_on_policies_say_what_is_made(workspace, aws, releases):
    """With a KMS key; test_tutorial.py looks at the policy without one."""
    releases.publish("v1.1.0")
    policy, decrypt, _ = (json.loads(block.text) for block in Page("reference/iam-policy.md").blocks)
    root = workspace()
    artifact = 'lambda_artifact = { release_version = "v1.1.0" }'
    root.write(f'{artifact}\n  kms_key_arn = "{decrypt["Resource"][0]}"', name="github-token-broker")
    root.apply()
    iam = aws.client("iam")
    found = iam.get_role_policy(RoleName="github-token-broker", PolicyName="github-token-broker-policy")
    read, log = policy["Statement"]
    assert found["PolicyDocument"]["Statement"] == [read, decrypt, log]

    page = Page("how-to/give-a-role-permission-to-invoke.md")
    (invoke,) = [json.loads(block.text) for block in page.blocks if block.language == "json"]
    assert json.loads(root.outputs()["invoke_policy_json"]) == invoke


def test_files_are_formatted():
    done = subprocess.run([rig.TOOL, "fmt", "-check", "-recursive", "-diff", str(rig.MODULE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def write_example(root: rig.Workspace, name: str) -> None:
    """The example as a root module, its relative source made absolute."""
    source = (rig.MODULE / "examples" / name / "main.tf").read_text()
    assert source.count('"../.."') == source.count('module "')
    needed = re.search(r'required_version = ">= ([\d.]+)"', source).group(1)
    if rig.tool_version() < tuple(map(int, needed.split("."))):
        pytest.skip(f"examples/{name} needs {needed} for its write-only argument; {rig.TOOL} is older")
    (root.folder / "main.tf").write_text(source.replace('"../.."', f'"{rig.MODULE}"'))
    root.run("init", "-input=false")


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(workspace, version, example):
    root = workspace(version)
    write_example(root, example)
    assert json.loads(root.run("validate", "-json"))["valid"]


def test_the_private_key_of_the_bootstrap_example_is_not_in_the_state(workspace, aws, releases, version):
    releases.publish("v1.1.0")
    root = workspace(version)
    root.environment |= {
        "TF_VAR_client_id": "Iv23liExample",
        "TF_VAR_installation_id": "12345678",
        "TF_VAR_private_key_pem": "THE-SECRET-KEY",
        "TF_VAR_kms_key_arn": aws.client("kms").create_key()["KeyMetadata"]["Arn"],
    }
    write_example(root, "with-ssm-bootstrap")
    root.apply()
    assert private_key(aws) == ("SecureString", "THE-SECRET-KEY")
    assert root.plan() == {}
    for path in filter(Path.is_file, root.folder.rglob("*")):
        assert b"THE-SECRET-KEY" not in path.read_bytes(), f"{path.name} holds the private key"
    root.environment |= {"TF_VAR_private_key_pem": "A-NEW-KEY", "TF_VAR_private_key_version": "2"}
    root.apply()
    assert private_key(aws) == ("SecureString", "A-NEW-KEY")


def private_key(aws: rig.Aws) -> tuple[str, str]:
    name = "/github-token-broker/app/private-key-pem"
    parameter = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    return parameter["Type"], parameter["Value"]


def test_two_scopes_are_two_brokers(workspace, aws, releases, version):
    releases.publish("v1.1.0")
    root = workspace(version)
    root.environment |= {
        "TF_VAR_ci_role_arn": "arn:aws:iam::123456789012:role/ci",
        "TF_VAR_release_role_arn": "arn:aws:iam::123456789012:role/release",
    }
    write_example(root, "two-scopes")
    root.apply()
    variables = {name: aws.function(f"github-token-broker-{name}")["Environment"]["Variables"] for name in ("read", "write")}
    assert {name: json.loads(given["GITHUB_TOKEN_BROKER_PERMISSIONS"]) for name, given in variables.items()} == {
        "read": {"contents": "read"},
        "write": {"contents": "write", "pull_requests": "write"},
    }
    assert root.plan() == {}


def test_the_stand_in_refuses_everything_but_loopback(workspace, tmp_path):
    if rig.FROM_REGISTRY:
        pytest.skip("it is the registry's provider that is tested")
    path = rig.write_zip(tmp_path / "broker.zip")
    for url in ("https://sts.amazonaws.com", "", "http://127.0.0.1.example.com"):
        root = workspace(name=f"root{len(url)}", installed=True)
        root.environment["AWS_ENDPOINT_URL"] = url
        root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
        with pytest.raises(rig.Failed, match="must be on loopback"):
            root.plan()


def test_checkov_finds_nothing_that_has_no_reason():
    """The exceptions stand with their reasons beside this test (checkov.yaml) and in the examples."""
    checkov = Path(sys.executable).parents[2] / "venv-checkov" / "bin" / "checkov"
    assert checkov.exists(), "make test-terraform installs it"
    done = subprocess.run(
        [checkov, "--config-file", rig.MODULE / "tests" / "checkov.yaml", "--directory", rig.MODULE, "--output", "json"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "BC_SKIP_MAPPING": "TRUE"},
    )
    report = json.loads(done.stdout)
    found = report["results"]["failed_checks"]
    assert not found, "\n".join(f"{c['check_id']} {c['resource']}: {c['check_name']}" for c in found)
    assert report["summary"]["passed"] > 30, "checkov looked at next to nothing"
