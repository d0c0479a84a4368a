#!/usr/bin/env python3
"""Checks that the modules of `broker/src` import only modules below them, so that no import cycle can exist.

Input: the sources, and `ORDER`, the one list of the top-level modules from top to bottom. Output: each import that breaks
a rule, with its file and line, and status 1. Test code is exempt: it is allowed to use everything.
The check first runs on small made-up crates that break each rule, and fails if it does not find the broken rule.
"""

import pathlib
import re
import sys

ORDER = "main lambda broker failure error_type config proof github app aws telemetry scope http retry".split()
# These import nothing from this crate, not even a module below them.
STANDALONE = {"scope", "http", "retry"}
# The map of the crate. It declares every module, so it has no place in the order. `main` is a crate of its own: it imports
# the library by its name, and the library cannot import it.
ROOT = "lib"

# Comments, strings and characters: none of them imports anything. The blanks keep the line numbers.
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|"(?:\\.|[^"\\])*"|\'(?:\\(?:u\{\w+\}|x\w\w|.)|[^\\\'])\'', re.DOTALL
)
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*(;|\{)")
PATH = re.compile(r"(?<![\w:])(crate|super(?:::super)*)::")


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def closing(text, opening):
    """The index after the brace that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return len(text)


def product_code(text):
    """The text without comments, strings and inline test modules, and the names of test modules in files of their own."""
    text = NOT_CODE.sub(lambda found: blank(found[0]), text)
    files = set()
    while found := TEST_MODULE.search(text):
        end = found.end()
        if found[2] == ";":
            files.add(found[1])
        else:
            end = closing(text, end - 1)
        text = text[: found.start()] + blank(text[found.start() : end]) + text[end:]
    return text, files


def first_names(text, index):
    """The first names after `crate::`: one, or one for each branch of `crate::{a, b::c}`."""
    if text[index] != "{":
        return re.findall(r"\A\w+", text[index : index + 100])
    inner, names = text[index + 1 : closing(text, index) - 1], []
    while "{" in inner:  # only the outermost level counts
        opening = inner.index("{")
        inner = inner[:opening] + inner[closing(inner, opening) :]
    for branch in inner.split(","):
        names += re.findall(r"\A\s*(\w+)", branch)
    return names


def imports(sources):
    """(file, line, importing module, imported module) of each path into the crate. `sources`: path below src -> text."""
    code, tests = {}, set()
    for path, text in sources.items():
        code[path], files = product_code(text)
        folder = path.parent if path.stem in (ROOT, "main", "mod") else path.with_suffix("")
        tests |= {folder / name for name in files}
    for path, text in code.items():
        if path.with_suffix("") in tests or any(parent in tests for parent in path.parents):
            continue
        depth, module = len(path.parts), path.parts[0].removesuffix(".rs")
        if path.name == "mod.rs":
            depth -= 1
        for found in PATH.finditer(text):
            if found[1] != "crate" and found[1].count("super") != depth:
                continue  # it ends inside its own top-level module
            line = text.count("\n", 0, found.start()) + 1
            for name in first_names(text, found.end()):
                yield path, line, module, name


def broken(sources, order=None):
    """A sentence for each broken rule."""
    order = order or ORDER
    place = {module: index for index, module in enumerate(order)}
    errors = []
    for path in sources:
        module = path.parts[0].removesuffix(".rs")
        if module != ROOT and module not in place:
            errors.append(f"{path}: `{module}` has no place in ORDER; add it there")
    for path, line, module, name in dict.fromkeys(imports(sources)):
        if ROOT in (module, name) or module == name or module not in place:
            continue
        if name not in place:
            errors.append(f"{path}:{line}: `crate::{name}` is not a top-level module; import it from the module that defines it")
        elif module in STANDALONE:
            errors.append(f"{path}:{line}: `{module}` imports `{name}`, but it must not import anything from this crate")
        elif place[name] < place[module]:
            errors.append(f"{path}:{line}: `{module}` imports `{name}`, which is above it")
    return errors


def read(folder):
    return {path.relative_to(folder): path.read_text() for path in sorted(folder.rglob("*.rs"))}


def self_test():
    """Each made-up crate has one broken rule, or none. The check must find exactly that."""
    good = {
        "broker.rs": "use crate::{config::{env, Config}, github};\nfn f() { crate::retry::wait() }",
        "config.rs": "// use crate::broker;\nconst TEXT: &str = \"crate::broker::x\"; const QUOTE: char = '\"';\n",
        "config/env.rs": "use super::Config; use crate::config::parse;\n#[cfg(test)]\nmod tests { use crate::broker; }",
        "github.rs": "use crate::{app::Jwt, http, retry};\n#[cfg(test)]\nmod tests;",
        "github/tests.rs": "use crate::broker::Broker;",
        "retry.rs": "",
    }
    cases = [
        ({}, None),
        ({"retry.rs": "use crate::http::Client;"}, "`retry` imports `http`"),
        ({"http/tls.rs": "fn f() { crate::retry::wait() }"}, "`http` imports `retry`"),
        ({"github/error.rs": "use crate::{\n    app::{Jwt, Key},\n    failure::Failure,\n};"}, "`github` imports `failure`"),
        ({"aws/ssm.rs": "use super::super::config::Config;"}, "`aws` imports `config`"),
        ({"app.rs": "use super::github;"}, "`app` imports `github`"),  # with github -> app, a cycle
        ({"app.rs": "use crate::Failure;"}, "`crate::Failure` is not a top-level module"),
        ({"rules.rs": ""}, "`rules` has no place"),
    ]
    for change, expected in cases:
        errors = broken({pathlib.PurePath(name): text for name, text in (good | change).items()})
        if len(errors) != (expected is not None) or (expected and expected not in errors[0]):
            sys.exit(f"self-test of the layer check: expected {expected}, found {errors}, in {change}")


def main():
    self_test()
    sources = read(pathlib.Path(__file__).parent.parent / "broker" / "src")
    errors = broken(sources)
    arrows = {(module, name) for _, _, module, name in imports(sources) if name in ORDER and name != module}
    if not arrows:
        errors.append("no import found: the check does not work")
    print(*errors, sep="\n", end="\n" if errors else "")
    print(f"module layers: {len(sources)} files, {len(arrows)} imports between modules, {len(errors)} broken rules")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
