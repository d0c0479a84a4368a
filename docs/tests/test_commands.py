"""The commands of tutorials and how-tos, run from their pages, against the function on the sandbox. At the end no block is left
that is neither run nor marked as one that needs a real account.

The three pages that need Terraform are run by terraform/tests/test_tutorial.py.
"""

import base64
import json
import os
import re
import signal
import subprocess

import hcl2
import pytest
import yaml

import readme
import rig
import tutorial
from book import LANGUAGES, ROOT, SRC, blocks, pages
from desk import Desk, Terminal, programs
from tutorial import MARK, RAN, Page, Reader, assert_like, assert_printed, end_all, limited

SEE_IT_WORK = Page("tutorials/see-it-work.md")
USE = Page("how-to/use-the-token.md")
ACTIONS = Page("how-to/use-the-token-in-github-actions.md")
RESPOND = Page("how-to/respond-to-a-leak.md")
TROUBLESHOOT = Page("how-to/troubleshoot.md")
ELSEWHERE = re.findall(r'Page\("((?:tutorials|how-to)/.*?)"\)', (ROOT / "terraform/tests/test_tutorial.py").read_text())


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("desk"))
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def visitor(tmp_path_factory):
    """Someone in a checkout, with the sandbox of `make demo SERVE=1` up in another terminal."""
    folder = tmp_path_factory.mktemp("visitor")
    (folder / "checkout").symlink_to(ROOT)
    return Terminal(folder / "checkout", programs(folder / "bin"))


def test_step_1_of_see_it_work(visitor):
    visitor.follow(SEE_IT_WORK, "Step 1")


def test_steps_2_to_4_of_see_it_work(visitor):
    command, says = SEE_IT_WORK.under("Step 2")
    RAN.add(command.where)
    terminal = subprocess.Popen(
        ["bash", "-c", command.text],
        cwd=ROOT,
        env=visitor.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C goes to all that a terminal runs
    )
    try:
        printed = ""
        with limited(lambda: end_all(terminal)):
            while "Ctrl-C ends" not in printed:
                line = terminal.stdout.readline()
                assert line, printed
                printed += line
        assert_printed(says.text.rstrip() + "...", printed, says.where)
        aws, github = re.search(r"AWS is at (\S+), GitHub at (\S+)\.", printed).groups()
        # A path below /tmp would be taken for one of the page's.
        visitor.environment["SANDBOX_KEY"] = re.search(r'"\$\(cat (\S+)\)"', printed)[1]
        given = {"http://127.0.0.1:40001": aws, "http://127.0.0.1:40002": github, "/sandbox/key.pem": '"$SANDBOX_KEY"'}
        for block in SEE_IT_WORK.blocks:
            for example, real in given.items():
                block.text = block.text.replace(example, real)
        visitor.follow(SEE_IT_WORK, "Step 3")
        visitor.follow(SEE_IT_WORK, "Step 4")
    finally:
        end_all(terminal, signal.SIGINT)
        terminal.communicate(timeout=60)


def test_a_token_is_minted_used_and_given_back(desk):
    printed = desk.terminal.follow(USE, "Mint")
    assert "ghs_" not in printed, "the token was shown"
    token = desk.terminal.value("TOKEN")
    for heading in ("With git", "With gh", "With anything else"):
        desk.terminal.follow(USE, heading)
    cloned = desk.terminal.folder / "your-repo"
    assert (cloned / ".git").is_dir()
    assert token not in "".join(path.read_text(errors="replace") for path in cloned.rglob("*") if path.is_file())
    assert desk.status("/repos/your-org/your-repo", token) == 200
    assert desk.status("/repos/your-org/your-other-repo", token) == 404
    desk.terminal.follow(USE, "Give it back")
    assert desk.status("/repos/your-org/your-repo", token) == 401


@pytest.mark.parametrize("page", ["how-to/give-a-role-permission-to-invoke.md", "how-to/upgrade-from-go.md"])
def test_what_needs_no_real_account_on_other_pages_is_run(desk, page):
    desk.terminal.follow(Page(page))


def test_without_a_good_token_nothing_is_cloned(desk):
    (clone,) = [block for block in USE.under("With git") if block.language == "sh"]
    with pytest.raises(AssertionError, match="Authentication failed"):
        desk.terminal.run("TOKEN=ghs_made_up\n" + clone.text.replace("your-repo", "your-repo again"))


def test_mint_token_ends_with_the_error_where_the_broker_fails(desk):
    desk.put_installation("87654321")
    with pytest.raises(AssertionError) as ended:
        desk.terminal.run("./mint-token; echo went on")
    desk.put_installation("12345678")
    assert "exit status 1" in str(ended.value)
    assert "InstallationMismatch: GitHub repository installation 12345678 does not match" in str(ended.value)
    assert "went on" not in str(ended.value).split("went on\n", 1)[1], "a failed mint was taken for a token"


def test_the_token_is_handed_to_terraform(desk):
    desk.terminal.follow(Page("how-to/use-the-token-in-terraform.md"))
    assert desk.status("/repos/your-org/your-repo", desk.terminal.value("GITHUB_TOKEN")) == 200


@pytest.fixture
def steps():
    """The steps of the workflow on the page that run commands, by name."""
    (workflow,) = [yaml.safe_load(block.text) for block in ACTIONS.blocks if block.language == "yaml"]
    return {step["name"]: step for step in workflow["jobs"]["build"]["steps"] if "run" in step}


def test_the_workflow_mints_masks_and_gives_back(desk, steps, tmp_path):
    output = tmp_path / "output"
    desk.terminal.environment["GITHUB_OUTPUT"] = str(output)
    printed = desk.terminal.run(steps["Mint a token"]["run"])
    token = output.read_text().removeprefix("token=").strip()
    assert desk.status("/repos/your-org/your-repo", token) == 200
    assert printed.strip() == f"::add-mask::{token}", "the token was shown other than by its mask"
    back = steps["Give the token back"]
    assert list(back["env"]) == ["GH_TOKEN"]
    desk.terminal.run(f"GH_TOKEN={token} {back['run']}")
    assert desk.status("/repos/your-org/your-repo", token) == 401


def test_the_workflow_fails_where_the_broker_fails(desk, steps, tmp_path):
    desk.terminal.environment["GITHUB_OUTPUT"] = str(tmp_path / "output")
    desk.put_installation("87654321")
    with pytest.raises(AssertionError, match="::error::InstallationMismatch: "):
        desk.terminal.run(steps["Mint a token"]["run"])
    desk.put_installation("12345678")
    assert not (tmp_path / "output").exists()


def test_a_leaked_token_is_revoked(desk):
    desk.terminal.run("TOKEN=$(./mint-token)")
    printed = desk.terminal.follow(RESPOND, "A token leaked")
    assert "HTTP 401" in printed and "your-org/your-repo" not in printed.splitlines()


def test_the_broker_is_stopped(tmp_path):
    """At moto, which knows more of Lambda's settings than the sandbox."""
    aws = rig.Aws()
    role = aws.client("iam").create_role(RoleName="broker", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    functions, name = aws.client("lambda"), "github-token-broker"
    code = {"ZipFile": rig.write_zip(tmp_path / "broker.zip").read_bytes()}
    functions.create_function(FunctionName=name, Runtime="provided.al2023", Role=role, Handler="bootstrap", Code=code)
    environment = programs(tmp_path / "bin") | rig.CREDENTIALS | {"AWS_ENDPOINT_URL": aws.url}
    (tmp_path / "work").mkdir()
    Terminal(tmp_path / "work", environment).follow(RESPOND, "Stop the broker")
    assert functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 0
    aws.server.stop()


def test_the_log_line_and_the_error_are_shown(desk):
    desk.put_installation("87654321")
    printed = desk.terminal.follow(TROUBLESHOOT)
    desk.put_installation("12345678")
    assert '"errorType":"InstallationMismatch"' in printed, "the log line is not there"
    assert "\nInstallationMismatch\nGitHub repository installation " in printed


def test_a_token_is_found_in_the_log_by_its_hash(desk):
    (invoke,) = blocks(TROUBLESHOOT.name, "sh")
    printed = desk.terminal.run(invoke.text + "TOKEN=$(jq -r .token /tmp/out.json)")
    line = next(json.loads(line) for line in printed.splitlines() if "token_hash" in line)
    assert desk.terminal.follow(Page("how-to/find-out-who-minted-a-token.md")).strip() == line["token_hash"]
    assert len(base64.b64decode(line["token_hash"])) == 32


def test_the_response_is_the_one_of_its_page(desk):
    (expected,) = blocks("reference/response.md", "json")
    desk.terminal.run(blocks(TROUBLESHOOT.name, "sh")[0].text)
    answer = json.loads((desk.terminal.scratch / "out.json").read_text())
    assert_like(json.loads(expected.text), answer, expected.where)


def test_a_command_that_does_not_end_is_a_failure(tmp_path, monkeypatch):
    """It is ended with all that it started, which else would hold on to its output."""
    monkeypatch.setattr(tutorial, "LIMIT", 0.5)
    (tmp_path / "work").mkdir()
    with pytest.raises(AssertionError, match="exit status -9"):
        Reader(tmp_path / "work", dict(os.environ)).run("sleep 3600 | cat")


@pytest.mark.parametrize("page", pages())
def test_a_block_is_of_a_known_kind(page):
    text = (SRC / page).read_text()
    opening = re.findall(r"^ *```(.*)$", text, re.MULTILINE)[::2]
    assert [language for language in opening if language not in LANGUAGES] == [], f"{page}: name the language"
    marks = len(re.findall(rf"^ *{re.escape(MARK)}$", text, re.MULTILINE))
    marked = sum(block.marked for block in blocks(page, "sh"))
    assert marks == marked, f"{page}: a mark stands above no commands"
    for block in blocks(page, "json"):
        json.loads(block.text)


@pytest.mark.parametrize("page", [page for page in pages() if "```hcl" in (SRC / page).read_text()])
def test_terraform_on_a_page_has_inputs_that_there_are(page):
    inputs = {name for name, _ in readme.blocks("variables.tf", "variable")} | {"source", "version", "providers"}
    for block in blocks(page, "hcl"):
        parsed = hcl2.loads(block.text)
        called = [module for entry in parsed.get("module", []) for module in entry.values()]
        bare = [] if set(parsed) & {"module", "resource", "provider", "terraform"} else [parsed]
        for given in called + bare:
            unknown = {name for name in given if not name.startswith("__")} - inputs
            assert not unknown, f"{block.where}: the module has no input {unknown}"


def test_no_command_is_left_that_is_neither_run_nor_marked():
    """Last in this file: what the tests above ran is noted."""
    assert len(ELSEWHERE) == 3
    for page in pages():
        if not page.startswith(("tutorials/", "how-to/")) or page in ELSEWHERE:
            continue
        for block in blocks(page, "sh"):
            assert block.marked != (block.where in RAN), (
                f"{block.where}: run it in docs/tests/test_commands.py, or put this line above it: {MARK}"
                if not block.marked
                else f"{block.where}: this is run, and marked as not run"
            )
