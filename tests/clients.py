#!/usr/bin/env python3
"""Lets clients that nobody here wrote use the sandbox: boto3, and Octokit with its App authentication.

Input: target/debug/sandbox, the release build of the function, and target/venv. Output: a line for each check, and
`N passed, N failed`. Everything runs on loopback, and ends with this program.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import boto3

ROOT = pathlib.Path(__file__).parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
PARAMETERS = {"client-id": "String", "installation-id": "String", "private-key-pem": "SecureString"}
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
            run(json.loads(described.read_text()), key.read_text())
        finally:
            sandbox.send_signal(signal.SIGINT)
            sandbox.wait(timeout=20)
    failed = CHECKS.count(False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(urls, pem):
    def client(service):
        return boto3.client(
            service,
            endpoint_url=urls["aws_url"],
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )

    ssm, values = client("ssm"), {"client-id": urls["client_id"], "installation-id": str(urls["installation_id"]), "private-key-pem": pem}
    names = {name: f"/github-token-broker/app/{name}" for name in values}
    for name, value in values.items():
        version = ssm.put_parameter(Name=names[name], Value=value, Type=PARAMETERS[name], Overwrite=True)["Version"]
        check(version >= 1, f"boto3 stores {names[name]}")
    found = ssm.get_parameters(Names=[*names.values(), "/missing"], WithDecryption=True)
    check({p["Value"] for p in found["Parameters"]} == set(values.values()), "boto3 reads the three parameters")
    check(found["InvalidParameters"] == ["/missing"], "boto3 gets the name of a missing parameter")

    function = client("lambda")
    result = function.invoke(FunctionName="github-token-broker", Payload=b"null")
    response = json.loads(result["Payload"].read())
    check("FunctionError" not in result and response.get("token"), "boto3 invokes the function and gets a token")
    refused = function.invoke(FunctionName="github-token-broker", Payload=b"{}")
    error = json.loads(refused["Payload"].read())
    check(refused.get("FunctionError") == "Unhandled" and error["errorType"] == "InputRefused", "boto3 gets the function's error")
    try:
        function.invoke(FunctionName="missing", Payload=b"null")
        check(False, "boto3 gets an error for a missing function")
    except function.exceptions.ResourceNotFoundException:
        check(True, "boto3 gets an error for a missing function")

    octokit = {
        "githubUrl": urls["github_url"],
        "appId": values["client-id"],
        "installationId": urls["installation_id"],
        "privateKey": pem,
        "brokerToken": response.get("token"),
    }
    # Node looks for packages next to the script.
    script = TARGET / "venv" / "node" / "clients.mjs"
    script.write_text((ROOT / "tests" / "clients.mjs").read_text())
    done = subprocess.run([TARGET / "venv" / "bin" / "node", script], input=json.dumps(octokit), capture_output=True, text=True, timeout=60)
    if done.returncode:
        print(done.stderr)
    seen = json.loads(done.stdout or "{}")
    check(seen.get("id") == urls["installation_id"], "Octokit finds the installation with a JWT of its own")
    check(seen.get("repositorySelection") == "selected" and seen.get("repositoryNames") == ["octo-repo"], "Octokit mints a token for one repository")
    check(seen.get("permissions", {}).get("contents") == "read", "the token has the permissions that Octokit requests")
    check((seen.get("own"), seen.get("broker")) == (200, 200), "Octokit reads the repository with its own token and with the function's")
    check(seen.get("other") == 404, "Octokit cannot read a different private repository")
    check((seen.get("revoked"), seen.get("after")) == (204, 401), "Octokit revokes its token, which GitHub then rejects")


if __name__ == "__main__":
    sys.exit(main())
