#!/usr/bin/env python3
"""Lets clients that nobody here wrote use the sandbox: boto3 with each operation of its AWS, Octokit with its App authentication, and the
GitHub CLI if it is installed.

Input: target/debug/sandbox, the release build of the function, and target/venv. Output: a line for each check, and
`N passed, N failed`. Everything runs on loopback, and ends with this program.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import boto3
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding

ROOT = pathlib.Path(__file__).parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
PARAMETERS = {"client-id": "String", "installation-id": "String", "private-key-pem": "SecureString"}
FUNCTION = "github-token-broker"
CHECKS = []


def check(holds, what):
    print("ok    " if holds else "FAILED", what)
    CHECKS.append(bool(holds))


def main():
    with tempfile.TemporaryDirectory() as folder:
        described, key = pathlib.Path(folder, "described.json"), pathlib.Path(folder, "key.pem")
        command = [TARGET / "debug" / "sandbox", "serve", "--describe", described, "--key", key]
        command += ["--repository", "octo-org/octo-repo", "--repository", "octo-org/other-repo"]
        sandbox = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            if not sandbox.stdout.readline():
                sys.exit("the sandbox ended before it was ready")
            run(json.loads(described.read_text()), key.read_text(), pathlib.Path(folder))
        finally:
            sandbox.send_signal(signal.SIGINT)
            status = sandbox.wait(timeout=20)
        check(status == 0, f"the sandbox ends with status 0 after SIGINT: {status}")
    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(urls, pem, folder):
    def client(service):
        return boto3.client(
            service,
            endpoint_url=urls["aws_url"],
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )

    use_parameters(client("ssm"), {"client-id": urls["client_id"], "installation-id": str(urls["installation_id"]), "private-key-pem": pem})
    token = invoke(client("lambda"))
    use_keys(client("kms"), pem)
    use_roles(client("iam"), client("sts"))
    for base_url in (urls["github_url"], f"{urls['github_url']}/api/v3"):
        use_octokit(urls | {"github_url": base_url}, pem, token)
    use_github_cli(urls["github_host"], token, folder)


def use_parameters(ssm, values):
    names = {name: f"/github-token-broker/app/{name}" for name in values}
    for name, value in values.items():
        version = ssm.put_parameter(Name=names[name], Value=value, Type=PARAMETERS[name], Overwrite=True)["Version"]
        check(version >= 1, f"boto3 stores {names[name]}")
    found = ssm.get_parameters(Names=[*names.values(), "/missing"], WithDecryption=True)
    check({p["Value"] for p in found["Parameters"]} == set(values.values()), "boto3 reads the three parameters")
    check(found["InvalidParameters"] == ["/missing"], "boto3 gets the name of a missing parameter")
    one = ssm.get_parameter(Name=names["client-id"])["Parameter"]
    check(one["Value"] == values["client-id"], "boto3 reads one parameter")
    below = ssm.get_parameters_by_path(Path="/github-token-broker", Recursive=True)["Parameters"]
    described = ssm.describe_parameters()["Parameters"]
    for listed, what in ((below, "reads the parameters below a path"), (described, "lists the parameters")):
        check({p["Name"] for p in listed} == set(names.values()), f"boto3 {what}")
    ssm.put_parameter(Name="/extra", Value="1", Type="String")
    ssm.delete_parameter(Name="/extra")
    check(ssm.get_parameters(Names=["/extra"])["InvalidParameters"] == ["/extra"], "boto3 deletes a parameter")


def invoke(function):
    """The token that the function returns."""
    result = function.invoke(FunctionName=FUNCTION, Payload=b"null")
    response = json.loads(result["Payload"].read())
    check("FunctionError" not in result and response.get("token"), "boto3 invokes the function and gets a token")
    refused = function.invoke(FunctionName=FUNCTION, Payload=b"{}")
    error = json.loads(refused["Payload"].read())
    check(refused.get("FunctionError") == "Unhandled" and error["errorType"] == "InputRefused", "boto3 gets the function's error")
    missing = function.exceptions.ResourceNotFoundException
    check(raises(missing, function.invoke, FunctionName="missing", Payload=b"null"), "boto3 gets an error for a missing function")
    check(raises(missing, function.get_policy, FunctionName=FUNCTION), "boto3 gets an error for a missing resource policy")
    configuration = function.get_function_configuration(FunctionName=FUNCTION)
    check(configuration["Runtime"] == "provided.al2023", "boto3 reads the configuration of the function")
    whole = function.get_function(FunctionName=FUNCTION)["Configuration"]
    check(whole["CodeSha256"] == configuration["CodeSha256"], "boto3 reads the function")
    return response.get("token")


def raises(error, call, **arguments):
    try:
        call(**arguments)
    except error:
        return True
    return False


def use_keys(kms, pem):
    material = serialization.load_pem_private_key(pem.encode(), None)
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    given = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm="RSA_AES_KEY_WRAP_SHA_256", WrappingKeySpec="RSA_2048")
    # https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-encrypt-key-material.html
    aes = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapped = serialization.load_der_public_key(given["PublicKey"]).encrypt(aes, oaep)
    pkcs8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    wrapped += keywrap.aes_key_wrap_with_padding(aes, material.private_bytes(*pkcs8))
    kms.import_key_material(
        KeyId=key, ImportToken=given["ImportToken"], EncryptedKeyMaterial=wrapped, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE"
    )
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    check(public == material.public_key(), "boto3 imports the App's key into KMS")

    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    kms.update_alias(AliasName="alias/app", TargetKeyId=key)
    listed = {alias["AliasName"]: alias.get("TargetKeyId") for alias in kms.list_aliases()["Aliases"]}
    check(listed.get("alias/app") == key, "boto3 lists the alias of the key")
    check(key in {entry["KeyId"] for entry in kms.list_keys()["Keys"]}, "boto3 lists the key")
    algorithm = "RSASSA_PKCS1_V1_5_SHA_256"
    signature = kms.sign(KeyId="alias/app", Message=b"message", MessageType="RAW", SigningAlgorithm=algorithm)["Signature"]
    public.verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    check(True, "boto3 signs with the key, and its signature is valid")
    kms.delete_alias(AliasName="alias/app")
    check(raises(kms.exceptions.NotFoundException, kms.describe_key, KeyId="alias/app"), "boto3 gets an error for a deleted alias")

    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    kms.put_key_policy(KeyId=key, Policy=policy)
    check(kms.get_key_policy(KeyId=key)["Policy"] == policy, "boto3 changes the key policy")

    changes = [
        (kms.disable_key, "Disabled"),
        (kms.enable_key, "Enabled"),
        (kms.delete_imported_key_material, "PendingImport"),
        (kms.schedule_key_deletion, "PendingDeletion"),
        (kms.cancel_key_deletion, "PendingImport"),
    ]
    for change, expected in changes:
        change(KeyId=key)
        state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        check(state == expected, f"after {change.__name__}, boto3 sees the state {expected}: {state}")


def use_roles(iam, sts):
    role = iam.get_role(RoleName=FUNCTION)["Role"]
    check(role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}, "boto3 reads the role")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName=FUNCTION, PolicyName="extra", PolicyDocument=json.dumps(policy))
    check("extra" in iam.list_role_policies(RoleName=FUNCTION)["PolicyNames"], "boto3 adds an inline policy to the role")
    found = iam.get_role_policy(RoleName=FUNCTION, PolicyName="extra")["PolicyDocument"]
    check(found == policy, "boto3 reads the inline policy")
    check(iam.list_attached_role_policies(RoleName=FUNCTION)["AttachedPolicies"] == [], "boto3 lists the attached policies")
    actions = ["s3:GetObject", "s3:PutObject"]
    simulated = iam.simulate_principal_policy(PolicySourceArn=role["Arn"], ActionNames=actions)["EvaluationResults"]
    decisions = [result["EvalDecision"] for result in simulated]
    check(decisions == ["allowed", "implicitDeny"], f"boto3 simulates the role's policies: {decisions}")
    names = {entry["RoleName"] for entry in iam.get_account_authorization_details()["RoleDetailList"]}
    check(FUNCTION in names, "boto3 lists the roles of the account")

    check(sts.get_caller_identity()["Account"] == "123456789012", "boto3 gets its identity")
    session = {"RoleArn": role["Arn"], "RoleSessionName": "session"}
    web = session | {"WebIdentityToken": "header.claims.signature"}
    for call, arguments in ((sts.assume_role, session), (sts.assume_role_with_web_identity, web)):
        user = call(**arguments)["AssumedRoleUser"]["Arn"]
        check(user.endswith(f":assumed-role/{FUNCTION}/session"), f"boto3 assumes the role with {call.__name__}")


def use_octokit(urls, pem, token):
    octokit = {
        "githubUrl": urls["github_url"],
        "appId": urls["client_id"],
        "installationId": urls["installation_id"],
        "privateKey": pem,
        "brokerToken": token,
    }
    # Node looks for packages next to the script.
    script = TARGET / "venv" / "node" / "clients.mjs"
    script.write_text((ROOT / "tests" / "clients.mjs").read_text())
    done = subprocess.run([TARGET / "venv" / "bin" / "node", script], input=json.dumps(octokit), capture_output=True, text=True, timeout=60)
    if done.returncode:
        print(done.stderr)
    seen = json.loads(done.stdout or "{}")
    print(f"Octokit at {urls['github_url']}:")
    check(seen.get("id") == urls["installation_id"], "Octokit finds the installation with a JWT of its own")
    check(seen.get("repositorySelection") == "selected" and seen.get("repositoryNames") == ["octo-repo"], "Octokit mints a token for one repository")
    check(seen.get("permissions", {}).get("contents") == "read", "the token has the permissions that Octokit requests")
    check((seen.get("own"), seen.get("broker")) == (200, 200), "Octokit reads the repository with its own token and with the function's")
    check(seen.get("other") == 404, "Octokit cannot read a different private repository")
    check((seen.get("revoked"), seen.get("after")) == (204, 401), "Octokit revokes its token, which GitHub then rejects")


def use_github_cli(host, token, folder):
    if not (gh := shutil.which("gh")):
        print("not run: gh: install the GitHub CLI")
        return
    # gh uses HTTPS for every host except github.localhost, and finds no port in GH_HOST for that one: the sandbox is its proxy. Without the
    # other variables of this process, gh has no other configuration, token or proxy.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GH_CONFIG_DIR": str(folder / "gh"),
        "GH_HOST": "github.localhost",
        "GH_TOKEN": token or "",
        "http_proxy": f"http://{host}",
    }

    def read(repository):
        # Without the header, old versions send an empty Accept.
        command = [gh, "api", f"repos/octo-org/{repository}", "--header", "Accept: application/vnd.github+json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr.strip()

    status, repository, errors = read("octo-repo")
    found = repository.get("full_name")
    check((status, found) == (0, "octo-org/octo-repo"), f"gh reads the repository with the function's token: {errors or found}")
    status, _, errors = read("other-repo")
    check((status, errors) == (1, "gh: Not Found (HTTP 404)"), f"gh cannot read a different private repository: {errors}")


if __name__ == "__main__":
    sys.exit(main())
