"""Writes terraform/README.md: the text below, with the inputs and outputs as variables.tf and outputs.tf say them.

In: the module's files. Out: the page, on standard output or, with `--write`, in place. The tests hold the two together.
The book includes the two tables by their anchors.
"""

import sys
from pathlib import Path

import hcl2

MODULE = Path(__file__).resolve().parents[1]

TEXT = """# Terraform module

<!-- Written by terraform/tests/readme.py; change that, or the descriptions in variables.tf and outputs.tf. -->

Makes one broker: the Lambda function, its role with one inline policy, and its log group. Terraform or OpenTofu 1.6 or
newer; AWS provider 5 or 6 (5.51 or newer within 5: older ones lack `logging_config` or `code_sha256` of the function).

```hcl
module "broker" {{
  source = "github.com/meigma/github-token-broker//terraform?ref=v1.1.0"

  function_name    = "github-token-broker"
  repository_owner = "your-org"
  repository_name  = "your-repo"

  lambda_artifact = {{
    release_version = "v1.1.0"
  }}
}}
```

Examples: [basic](examples/basic), [with-ssm-bootstrap](examples/with-ssm-bootstrap) (makes the three parameters too),
[two-scopes](examples/two-scopes) (two brokers, one App).

## Where the zip comes from

`lambda_artifact` names exactly one source. The function is redeployed when, and only when, the content changes.

| source | what happens | what must match |
|---|---|---|
| `release_version` | `gh release download`, then `sha256sum --check`, before anything is made | `checksums.txt` of the release; `sha256` and the attestation, when asked for |
| `lambda_zip_path` | the file is read at plan time | `sha256`, when given |
| `lambda_source_s3` | Lambda reads the object itself; a new `version_id` or `sha256` redeploys | `sha256`, when given: told after Lambda has read it, since nothing else has |

There is no release of this implementation yet. Until there is, build the zip with `make package` and use `lambda_zip_path`.

A checksum from the same release proves nothing against whoever could replace the release: pin `sha256`, or set
`verify_attestation`. A download is kept below the root module's `.terraform`. On another machine it is fetched again: the
plan replaces `terraform_data.release`, which stands for the download and nothing in AWS, and the function stays as it is.
Without a pinned `sha256` such a plan cannot know the content yet and lists the function as "known after apply"; the apply
then changes nothing.

## What it grants

The role may `ssm:GetParameters` on the three parameters, and write to its own log group. With `kms_key_arn`, also
`kms:Decrypt` with that key, only through SSM and only for the private key's parameter. The log group's ARN ends in `:*`,
its streams; there is no other wildcard. The module lets nobody invoke the function until you say so: `invoker_role_arns`, or
attach `invoke_policy_json`. Who has `lambda:InvokeFunction` on `*` in the account may already.

## Inputs

<!-- ANCHOR: inputs -->

| name | type | default | |
|---|---|---|---|
{inputs}

<!-- ANCHOR_END: inputs -->

## Outputs

<!-- ANCHOR: outputs -->

| name | |
|---|---|
{outputs}

<!-- ANCHOR_END: outputs -->
"""


def blocks(file: str, kind: str) -> list[tuple[str, dict]]:
    """`variable` or `output` blocks in the order of the file."""
    with open(MODULE / file, encoding="utf-8") as text:
        parsed = hcl2.load(text)
    return [(_text(name), body) for block in parsed[kind] for name, body in block.items()]


def page() -> str:
    inputs = [
        f"| `{name}` | {_kind(body)} | {_default(body)} | {_cell(body['description'])} |"
        for name, body in blocks("variables.tf", "variable")
    ]
    outputs = [f"| `{name}` | {_cell(body['description'])} |" for name, body in blocks("outputs.tf", "output")]
    return TEXT.format(inputs="\n".join(inputs), outputs="\n".join(outputs))


def _text(value) -> str:
    return str(value).strip('"')


def _cell(value) -> str:
    return _text(value).replace("|", "\\|")


def _kind(body: dict) -> str:
    kind = _text(body["type"]).removeprefix("${").removesuffix("}")
    return "object" if kind.startswith("object") else f"`{kind}`"


def _default(body: dict) -> str:
    if "default" not in body:
        return "required"
    value = body["default"]
    if value is None:
        return "`null`"
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {_quoted(entry)}" for key, entry in value.items() if not key.startswith("__"))
        return f"`{{{pairs}}}`"
    return f"`{_quoted(value)}`"


def _quoted(value) -> str:
    return f'"{_text(value)}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    if "--write" in sys.argv:
        (MODULE / "README.md").write_text(page())
    else:
        sys.stdout.write(page())
