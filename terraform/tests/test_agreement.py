"""The module agrees with the binary, with the pages about it and with its examples; tflint and checkov find nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import readme
import rig
from tutorial import Page

ROOT = rig.MODULE.parent
EXAMPLES = sorted(path.parent.name for path in (rig.MODULE / "examples").glob("*/main.tf"))

# Callers of the published module use these. More can be added, but none can be removed.
CONTRACT_INPUTS = {
    "function_name", "repository_owner", "repository_name", "lambda_artifact", "release_repository", "permissions",
    "ssm_parameter_paths", "kms_key_arn", "github_api_base_url", "log_level", "architecture", "memory_size", "timeout",
    "log_retention_days", "tags",
}  # fmt: skip
CONTRACT_OUTPUTS = {
    "function_arn", "function_name", "function_invoke_arn", "role_arn", "role_name", "log_group_name",
    "deployed_version",
}  # fmt: skip


def code(name: str = "*.rs") -> str:
    """The function's source text."""
    return "\n".join(path.read_text() for path in sorted((ROOT / "broker" / "src").rglob(name)))


def test_the_module_sets_exactly_the_variables_that_the_function_reads():
    read = set(re.findall(r'"(GITHUB_TOKEN_BROKER_[A-Z_]+)"', code()))
    written = re.findall(r"^    (GITHUB_TOKEN_BROKER_[A-Z_]+) +=", (rig.MODULE / "main.tf").read_text(), re.MULTILINE)
    assert read, "no variable was found in broker/src"
    assert set(written) == read


def test_the_function_names_inputs_that_exist():
    """Its error messages name the Terraform input of a variable."""
    named = set(re.findall(r'variable\(\s*"GITHUB_TOKEN_BROKER_\w+",\s*(?:None|Some\(.*?\)),\s*"(\w+)",?\s*\)', code()))
    assert named, "no variable in broker/src has the name of an input"
    assert named <= {name for name, _ in readme.blocks("variables.tf", "variable")}


def test_the_alarms_and_the_dashboard_show_metrics_that_the_function_emits():
    """Each metric that they use is one for each function (dimension FunctionName)."""
    source = (rig.MODULE / "alarms.tf").read_text()
    own = set(re.findall(r'local\.metrics_namespace,? *(?:metric = )?"(\w+)"', source)) | {"Refused"}
    emitted = set(re.findall(r'"(Minted|Refused|Failed|Unproven|Latency|PrivateKeyAgeDays|GitHubRateLimitRemaining)"', code("metrics.rs")))
    assert own == {"Minted", "Failed", "Refused", "Unproven", "Latency", "PrivateKeyAgeDays", "GitHubRateLimitRemaining"}
    assert own <= emitted


def test_the_contracts_inputs_and_outputs_are_there():
    inputs = dict(readme.blocks("variables.tf", "variable"))
    outputs = dict(readme.blocks("outputs.tf", "output"))
    assert CONTRACT_INPUTS <= set(inputs)
    assert CONTRACT_OUTPUTS <= set(outputs)
    required = {name for name, body in inputs.items() if "default" not in body}
    assert required == {"function_name", "repository_owner", "repository_name", "lambda_artifact"}


@pytest.mark.parametrize("path", readme.pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_page_is_up_to_date(path):
    assert path.read_text() == readme.pages()[path], "run: python terraform/tests/readme.py --write"


@pytest.mark.parametrize("folder", [rig.MODULE, *readme.EXAMPLES], ids=lambda folder: folder.name)
def test_terraform_docs_writes_the_same_tables(folder):
    """The generator imitates terraform-docs, which not every machine has. The links of its resources are omitted here."""
    if shutil.which("terraform-docs") is None:
        pytest.skip("terraform-docs is not on PATH")
    written = subprocess.check_output(["terraform-docs", "markdown", "table", str(folder)], text=True)
    written = re.sub(r"\[([^]]+)\]\(https://[^)]*\)", r"\1", written)
    ours = re.sub(r"<!--.*?-->\n", "", readme.terraform_docs(folder))
    assert ours.strip() == written.strip()


def test_every_input_and_output_is_on_the_books_page():
    text = readme.BOOK_PAGE.read_text()
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        assert [name for name, _ in readme.blocks(file, kind) if f"| `{name}` |" not in text] == []


# The inputs for each statement on the page, in the page's order.
STATEMENTS = {
    "With your own KMS key for the parameter": 'kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"',
    "With a KMS key that signs": 'signing_key_arns = ["arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"]',
    "With a secret in Secrets Manager": """
        ssm_parameter_paths    = { private_key = "/aws/reference/secretsmanager/github-app-key" }
        private_key_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:github-app-key-AbCdEf"
        kms_key_arn            = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    """,
    "In a VPC, and with X-Ray": """
        vpc_config   = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a"] }
        tracing_mode = "Active"
    """,
}


@pytest.mark.parametrize("heading", STATEMENTS)
def test_the_page_on_policies_shows_what_an_input_adds(workspace, aws, tmp_path, heading):
    path = rig.write_zip(tmp_path / "broker.zip")
    root = workspace()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}\n {STATEMENTS[heading]}', name="github-token-broker")
    root.apply()
    found = aws.client("iam").get_role_policy(RoleName="github-token-broker", PolicyName="github-token-broker-policy")
    added = [s for s in found["PolicyDocument"]["Statement"] if s["Sid"] not in ("ReadAppCredentials", "WriteLogs")]
    (shown,) = [json.loads(block.text) for block in Page("reference/iam-policy.md").under(heading)]
    assert added == (shown if isinstance(shown, list) else [shown])


def test_the_page_on_callers_shows_the_invoke_policy(workspace, tmp_path):
    path = rig.write_zip(tmp_path / "broker.zip")
    root = workspace()
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}', name="github-token-broker")
    root.apply()
    page = Page("how-to/give-a-role-permission-to-invoke.md")
    (invoke,) = [json.loads(block.text) for block in page.blocks if block.language == "json"]
    assert json.loads(root.outputs()["invoke_policy_json"]) == invoke


def test_files_are_formatted():
    done = subprocess.run([rig.TOOL, "fmt", "-check", "-recursive", "-diff", str(rig.MODULE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def write_example(root: rig.Workspace, name: str) -> None:
    """The example as a root module, with an absolute source instead of the relative one."""
    folder = rig.MODULE / "examples" / name
    settings = (folder / "versions.tf").read_text()
    terraform, provider = (tuple(map(int, version.split("."))) for version in re.findall(r'">= ([\d.]+)', settings))
    if rig.tool_version() < terraform:
        pytest.skip(f"the example requires Terraform {terraform}; {rig.TOOL} is older")
    if tuple(map(int, root.version.split("."))) < provider:
        pytest.skip(f"the example requires AWS provider {provider}")
    main = (folder / "main.tf").read_text()
    assert main.count('source = "../.." # outside this repository: ') == main.count('module "')
    for path in folder.glob("*.tf"):
        (root.folder / path.name).write_text(path.read_text().replace('"../.."', f'"{rig.MODULE}"'))
    root.init()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_complete_and_valid(workspace, version, example):
    files = {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"}
    assert {path.name for path in (rig.MODULE / "examples" / example).iterdir() if not path.name.startswith(".")} == files
    root = workspace(version)
    write_example(root, example)
    assert json.loads(root.run("validate", "-json"))["valid"]


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_applies_without_drift_and_is_destroyed(workspace, aws, releases, tmp_path, example):
    releases.publish("v1.1.0")
    network = aws.client("ec2")
    vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = network.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    root = workspace()
    root.environment |= {
        "TF_VAR_client_id": "Iv23liExample",
        "TF_VAR_installation_id": "12345678",
        "TF_VAR_private_key_pem": "THE-SECRET-KEY",
        "TF_VAR_vpc_id": vpc,
        "TF_VAR_subnet_ids": json.dumps([subnet]),
        "TF_VAR_lambda_zip_path": str(rig.write_zip(tmp_path / "broker.zip")),
    }
    write_example(root, example)
    root.apply()
    assert aws.left()["functions"]
    assert root.plan() == {}
    root.destroy()
    assert aws.left() == {}


def test_only_these_examples_have_required_variables():
    """Values that no default can stand for."""
    required = {
        example: {name for name, body in readme.blocks("variables.tf", "variable", rig.MODULE / "examples" / example) if "default" not in body}
        for example in EXAMPLES
    }
    assert {example: names for example, names in required.items() if names} == {
        "from-source": {"lambda_zip_path"},
        "vpc": {"vpc_id", "subnet_ids"},
        "with-kms": {"client_id", "installation_id"},
        "with-ssm-bootstrap": {"client_id", "installation_id", "private_key_pem"},
    }


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
        assert b"THE-SECRET-KEY" not in path.read_bytes(), f"{path.name} contains the private key"
    root.environment |= {"TF_VAR_private_key_pem": "A-NEW-KEY", "TF_VAR_private_key_version": "2"}
    root.apply()
    assert private_key(aws) == ("SecureString", "A-NEW-KEY")


def private_key(aws: rig.Aws) -> tuple[str, str]:
    name = "/github-token-broker/app/private-key-pem"
    parameter = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    return parameter["Type"], parameter["Value"]


@pytest.mark.slow
def test_the_kms_example_creates_an_empty_key_that_only_the_broker_signs_with(workspace, aws, releases):
    releases.publish("v1.1.0")
    root = workspace()
    root.environment |= {"TF_VAR_client_id": "Iv23liExample", "TF_VAR_installation_id": "12345678"}
    write_example(root, "with-kms")
    root.apply()
    arn = json.loads(root.run("output", "-json", "signing_key_arn"))
    key = aws.client("kms").describe_key(KeyId=arn)["KeyMetadata"]
    assert (key["Origin"], key["KeySpec"], key["KeyUsage"]) == ("EXTERNAL", "RSA_2048", "SIGN_VERIFY")
    policy = json.loads(aws.client("kms").get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    signers = [s for s in policy["Statement"] if "kms:Sign" in s["Action"]]
    assert [s["Condition"]["ArnEquals"] for s in signers] == [{"aws:PrincipalArn": "arn:aws:iam::123456789012:role/github-token-broker"}]
    variables = aws.function("github-token-broker")["Environment"]["Variables"]
    assert variables["GITHUB_TOKEN_BROKER_KMS_KEY_ID"] == arn
    assert not [name for name in variables if name.endswith("_PARAM")]


SUBJECTS = {
    "ids": ["repo:your-org@12345678/your-workflows@123456789:ref:refs/heads/main"],
    "names": ["repo:your-org/your-workflows:ref:refs/heads/main"],
}
SUBJECTS["both"] = SUBJECTS["ids"] + SUBJECTS["names"]


@pytest.mark.slow
@pytest.mark.parametrize("form", SUBJECTS)
def test_the_github_actions_example_trusts_the_chosen_form_of_the_subject(workspace, aws, releases, form):
    releases.publish("v1.1.0")
    root = workspace()
    root.environment |= {"TF_VAR_subject_form": form, "TF_VAR_create_oidc_provider": "false"}
    write_example(root, "github-actions")
    root.apply()
    role = aws.client("iam").get_role(RoleName="github-token-broker-workflow")["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": SUBJECTS[form],
        }
    }
    assert aws.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


@pytest.mark.parametrize("ref", ["refs/heads/*", "main", "*"])
def test_the_github_actions_example_rejects_a_wildcard(workspace, releases, ref):
    releases.publish("v1.1.0")
    root = workspace()
    workflow = {"owner": "your-org", "owner_id": "1", "repository": "x", "repository_id": "2", "ref": ref}
    root.environment["TF_VAR_workflow"] = json.dumps(workflow)
    write_example(root, "github-actions")
    with pytest.raises(rig.Failed, match="without wildcards"):
        root.plan()


@pytest.mark.slow
def test_two_scopes_are_two_brokers(workspace, aws, releases):
    releases.publish("v1.1.0")
    root = workspace()
    root.environment["TF_VAR_reader_role_arns"] = '{ ci = "arn:aws:iam::123456789012:role/ci" }'
    write_example(root, "two-scopes")
    root.apply()
    variables = {name: aws.function(f"github-token-broker-{name}")["Environment"]["Variables"] for name in ("read", "write")}
    assert {name: json.loads(given["GITHUB_TOKEN_BROKER_PERMISSIONS"]) for name, given in variables.items()} == {
        "read": {"contents": "read"},
        "write": {"contents": "write", "pull_requests": "write"},
    }
    client = aws.client("lambda")
    assert "role/ci" in client.get_policy(FunctionName="github-token-broker-read")["Policy"]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName="github-token-broker-write")


@pytest.mark.slow
def test_the_stand_in_calls_only_loopback(workspace, tmp_path):
    if rig.FROM_REGISTRY:
        pytest.skip("this run tests the registry's provider")
    path = rig.write_zip(tmp_path / "broker.zip")
    for url in ("https://sts.amazonaws.com", "", "http://127.0.0.1.example.com"):
        root = workspace(name=f"root{len(url)}", installed=True)
        root.environment["AWS_ENDPOINT_URL"] = url
        root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}')
        with pytest.raises(rig.Failed, match="must be on loopback"):
            root.plan()


def test_checkov_finds_nothing_without_a_reason(tmp_path):
    """The exceptions and their reasons are in checkov.yaml next to this test, and in the examples."""
    checkov = Path(sys.executable).parents[2] / "venv-checkov" / "bin" / "checkov"
    assert checkov.exists(), "run: make test-terraform, which installs it"
    done = subprocess.run(
        [checkov, "--config-file", rig.MODULE / "tests" / "checkov.yaml", "--directory", rig.MODULE, "--output", "json"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BC_SKIP_MAPPING": "TRUE"},
    )
    report = json.loads(done.stdout)
    found = report["results"]["failed_checks"]
    assert not found, "\n".join(f"{c['check_id']} {c['resource']}: {c['check_name']}" for c in found)
    assert report["summary"]["passed"] > 30, "checkov checked almost nothing"


def test_tflint_finds_nothing():
    """Its rules for Terraform itself; the rules for AWS are a plugin that needs a download."""
    if shutil.which("tflint") is None:
        pytest.skip("tflint is not on PATH")
    done = subprocess.run(
        ["tflint", "--recursive", "--config", str(rig.MODULE / "tests" / "tflint.hcl")], cwd=rig.MODULE, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
