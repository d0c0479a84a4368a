"""Generates the module's README, the READMEs of the examples and the tables of the book's page on Terraform.

Input: the .tf files, and tests/readme.md for the text around the module's tables. Output: the pages; `--write` writes them to their
files. The tables have the layout of terraform-docs, between its markers. A test compares the files with this output.
"""

import json
import re
import sys
from pathlib import Path

import hcl2

MODULE = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(path.parent for path in (MODULE / "examples").glob("*/main.tf"))
BOOK_PAGE = MODULE.parent / "docs" / "src" / "reference" / "terraform.md"
GENERATED = "<!-- terraform/tests/readme.py generates this {what}. -->"


def blocks(file: str, kind: str, folder: Path = MODULE) -> list[tuple[str, dict]]:
    """The blocks of one kind, such as `variable` or `output`, in the order of the file."""
    with open(folder / file, encoding="utf-8") as text:
        parsed = hcl2.load(text)
    return [(_text(name), body) for block in parsed.get(kind, []) for name, body in block.items()]


def pages() -> dict[Path, str]:
    """Each generated file and its text."""
    text = (MODULE / "tests" / "readme.md").read_text()
    found = {MODULE / "README.md": text.replace("{tables}\n", terraform_docs(MODULE))}
    for folder in EXAMPLES:
        found[folder / "README.md"] = example_page(folder)
    book = BOOK_PAGE.read_text()
    for what, table in (("inputs", book_inputs()), ("outputs", book_outputs())):
        start, end = f"<!-- {what} -->\n", f"<!-- end of {what} -->\n"
        before, rest = book.split(start)
        book = f"{before}{start}\n{table}\n{end}{rest.split(end)[1]}"
    found[BOOK_PAGE] = book
    return found


def example_page(folder: Path) -> str:
    comment = re.match(r"(?:#.*\n)+", (folder / "main.tf").read_text()).group(0)
    about = "\n".join(line.removeprefix("#").removeprefix(" ") for line in comment.splitlines())
    required = [name for name, body in blocks("variables.tf", "variable", folder) if "default" not in body]
    given = "".join(f" -var {name}=..." for name in required if name != "private_key_pem")
    return f"""# Example: {folder.name}

{GENERATED.format(what="page from the .tf files")}

{about}

To use it outside this repository, copy the folder and change the line `source` as its comment says.

```sh
terraform init
terraform apply{given}
```

{terraform_docs(folder)}"""


def terraform_docs(folder: Path) -> str:
    """Requirements, providers, modules, resources, inputs and outputs, as terraform-docs lays them out."""
    settings = hcl2.loads((folder / "versions.tf").read_text())["terraform"][0]
    requirements = [("terraform", _text(settings["required_version"]))]
    for provider in settings["required_providers"]:
        requirements += [(_text(name), _text(body["version"])) for name, body in provider.items() if not name.startswith("__")]
    # The parser does not support every expression of the module; the first lines of blocks are enough here.
    source = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    kinds = {"resource": "resource", "data": "data source"}
    resources = sorted((kind, name, kinds[block]) for block, kind, name in re.findall(r'^(resource|data) "(\w+)" "(\w+)"', source, re.MULTILINE))
    modules = re.findall(r'^module "(\w+)" \{\n(?:  for_each .*\n\n)?  source = "([^"]+)"', source, re.MULTILINE)
    used = {kind.split("_")[0] for kind, _, _ in resources}
    providers = [(name, dict(requirements).get(name, "n/a") if name != "terraform" else "n/a") for name in sorted(used)]
    inputs = [(*row, "no" if row[3] else "yes") for row in sorted(input_rows(folder))]
    outputs = sorted((name, _text(body["description"])) for name, body in blocks("outputs.tf", "output", folder))

    def anchored(kind: str, name: str) -> str:
        return f'<a name="{kind}_{name}"></a> [{_escaped(name)}](#{_escaped(f"{kind}_{name}")})'

    return f"""<!-- BEGIN_TF_DOCS -->
## Requirements

| Name | Version |
|------|---------|
{_rows((anchored("requirement", name), version) for name, version in requirements)}

## Providers

{_table("| Name | Version |", "|------|---------|", [(anchored("provider", name), version) for name, version in providers], "No providers.")}

## Modules

{_table("| Name | Source | Version |", "|------|--------|---------|", [(anchored("module", name), source, "n/a") for name, source in modules], "No modules.")}

## Resources

{_table("| Name | Type |", "|------|------|", [(f"{kind}.{name}", what) for kind, name, what in sorted(resources, key=lambda row: (row[2] != "resource", row))], "No resources.")}

## Inputs

| Name | Description | Type | Default | Required |
|------|-------------|------|---------|:--------:|
{_rows((anchored("input", name), _cell(text), kind, default or "n/a", needed) for name, text, kind, default, needed in inputs)}

## Outputs

| Name | Description |
|------|-------------|
{_rows((anchored("output", name), _cell(text)) for name, text in outputs)}
<!-- END_TF_DOCS -->
"""


def input_rows(folder: Path) -> list[tuple[str, str, str, str]]:
    """Name, description, type and default; the default is empty if the input is required."""
    source = (folder / "variables.tf").read_text()
    return [
        (name, _text(body["description"]), _code(_type(source, name)), _code(_default(body)) if "default" in body else "")
        for name, body in blocks("variables.tf", "variable", folder)
    ]


def book_inputs() -> str:
    rows = [(f"`{name}`", kind, default or "required", _cell(text)) for name, text, kind, default in input_rows(MODULE)]
    return f"| Name | Type | Default | Description |\n|---|---|---|---|\n{_rows(rows)}\n"


def book_outputs() -> str:
    rows = [(f"`{name}`", _cell(_text(body["description"]))) for name, body in blocks("outputs.tf", "output")]
    return f"| Name | Description |\n|---|---|\n{_rows(rows)}\n"


def _type(source: str, name: str) -> str:
    """The type as it is written; the parser does not keep that."""
    start = re.search(rf'^variable "{name}" \{{.*?^  type\s+= ', source, re.MULTILINE | re.DOTALL).end()
    end, depth = start, 0
    while depth or source[end] != "\n":
        depth += (source[end] == "(") - (source[end] == ")")
        end += 1
    return source[start:end]


def _default(body: dict) -> str:
    return json.dumps(_plain(body["default"]), indent=2, sort_keys=True)


def _plain(value):
    if isinstance(value, dict):
        return {_text(key): _plain(entry) for key, entry in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return _text(value) if isinstance(value, str) else value


def _code(text: str) -> str:
    """One line is code; several lines are preformatted, as in terraform-docs."""
    if "\n" not in text:
        return f"`{text}`"
    return "<pre>" + text.replace("|", "\\|").replace("\n", "<br/>") + "</pre>"


def _table(header: str, rule: str, rows: list[tuple], without: str) -> str:
    return f"{header}\n{rule}\n{_rows(rows)}" if rows else without


def _rows(rows) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _escaped(name: str) -> str:
    return name.replace("_", "\\_")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(value) -> str:
    return str(value).strip('"').replace('\\"', '"')


if __name__ == "__main__":
    for path, text in pages().items():
        if "--write" in sys.argv:
            path.write_text(text)
        elif path == MODULE / "README.md":
            sys.stdout.write(text)
