"""The commands of tutorials and how-tos, run from their pages against the function in the sandbox. The last test fails if a block
is neither run nor marked as one that needs a real account.

terraform/tests/test_tutorial.py runs the three pages that need Terraform.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import textwrap
from pathlib import Path

import hcl2
import packages
import pytest
import yaml

import readme
import rig
import tutorial
from book import LANGUAGES, ROOT, SRC, blocks, pages
from terminal import Deployment, Terminal, git, programs
from tutorial import MARK, RAN, Page, Reader, assert_like, assert_printed, end_all, limited

SEE_IT_WORK = Page("tutorials/see-it-work.md")
USE = Page("how-to/use-the-token.md")
PLAIN = Page("how-to/use-the-token-without-the-client.md")
INSTALL = Page("how-to/install-the-client.md")
KMS = Page("how-to/keep-the-key-in-kms.md")
CHECK = Page("how-to/check-a-broker.md")
RECIPES = Page("how-to/recipes.md")
ACTIONS = Page("how-to/use-the-token-in-github-actions.md")
RESPOND = Page("how-to/respond-to-a-leak.md")
ERRORS = Page("reference/errors.md")
# Pages without commands for readers: the landing page's quick start is the tutorial's first step, and the performance page lists make targets.
UNTESTED = ("index.md", "explanation/performance.md")
ELSEWHERE = re.findall(r'Page\("((?:tutorials|how-to)/.*?)"\)', (ROOT / "terraform/tests/test_tutorial.py").read_text())


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    deployment = Deployment(tmp_path_factory.mktemp("deployment"))
    yield deployment
    deployment.close()


@pytest.fixture(scope="module")
def visitor(tmp_path_factory):
    """A terminal in a checkout, while `make demo SERVE=1` runs in another terminal."""
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
        start_new_session=True,  # Ctrl-C reaches every process of a terminal
    )
    try:
        printed = ""
        with limited(lambda: end_all(terminal)):
            while "Ctrl-C to stop" not in printed:
                line = terminal.stdout.readline()
                assert line, printed
                printed += line
        assert_printed(says.text.rstrip() + "...", printed, says.where)
        aws, github = re.search(r"AWS is at (\S+), GitHub at (\S+)\.", printed).groups()
        # The reader of pages replaces a path below /tmp.
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


def test_token_is_minted_used_and_revoked(deployment):
    deployment.terminal.follow(PLAIN, "Use the token")
    printed = deployment.terminal.follow(PLAIN, "Mint")
    assert "ghs_" not in printed, "the token was printed"
    token = deployment.terminal.value("TOKEN")
    for heading in ("With git", "With gh", "With anything else"):
        deployment.terminal.follow(PLAIN, heading)
    assert_clone_has_no_token(deployment, token)
    assert deployment.status("/repos/your-org/your-repo", token) == 200
    assert deployment.status("/repos/your-org/your-other-repo", token) == 404
    deployment.terminal.follow(PLAIN, "Revoke it")
    assert deployment.status("/repos/your-org/your-repo", token) == 401


def assert_clone_has_no_token(deployment, token: str) -> None:
    cloned = deployment.terminal.folder / "your-repo"
    assert (cloned / ".git").is_dir()
    assert token not in "".join(path.read_text(errors="replace") for path in cloned.rglob("*") if path.is_file())
    shutil.rmtree(cloned)


def test_client_is_installed_and_used(deployment):
    printed = deployment.terminal.follow(INSTALL)
    assert "your-org/your-repo" in printed and "ghs_" not in printed
    printed = ""
    deployment.terminal.run("export REPOSITORY=your-org/your-repo")
    for heading in ("Use the token", "Clone with git", "Configure git once"):
        printed += deployment.terminal.follow(USE, heading)
    printed += deployment.terminal.follow(USE, "Print a token")
    assert "ghs_" not in printed, "the token was printed"
    token = deployment.terminal.value("TOKEN")
    assert_clone_has_no_token(deployment, token)
    assert deployment.status("/repos/your-org/your-repo", token) == 200
    deployment.terminal.follow(USE, "Revoke it")
    assert deployment.status("/repos/your-org/your-repo", token) == 401
    deployment.terminal.follow(RECIPES, "Recipes")


def test_setup_git_serves_fetches_until_it_is_removed(deployment):
    set_up, remove = (block.text for block in USE.under("Configure git once") if block.language == "sh")
    fetch = "git ls-remote https://github.com/your-org/your-repo"
    deployment.terminal.run("export REPOSITORY=your-org/your-repo\n" + set_up)
    assert "HEAD" in deployment.terminal.run(fetch)
    deployment.terminal.run(remove)
    with pytest.raises(AssertionError, match="could not read Username"):
        deployment.terminal.run(fetch)


@pytest.fixture(scope="module")
def private_package(deployment, tmp_path_factory):
    """The broker's repository is a package of each tool. Git sends requests for github.com to the sandbox."""
    folder = tmp_path_factory.mktemp("package")
    packages.write(folder, packages.PRIVATE)
    deployment.push(folder, packages.TAG)
    return deployment


def terminal_in(deployment, folder: Path, settings: dict) -> Terminal:
    """A reader in a folder, whose git sends requests for github.com to the sandbox. `settings` are more variables: the shell keeps those that
    it began with."""
    folder.mkdir()
    settings = settings | {"GIT_CONFIG_GLOBAL": str(folder.with_name("gitconfig"))}
    terminal = Terminal(folder, deployment.terminal.environment | settings)
    terminal.run('git config --global "url.http://$GH_HOST/.insteadOf" "https:""//github.com/"')
    return terminal


@pytest.mark.parametrize("recipe", packages.PROJECTS)
def test_recipe_fetches_the_private_package(private_package, recipe, tmp_path):
    program, project, fetched = packages.PROJECTS[recipe]
    if not shutil.which(program):
        RAN.update(block.where for block in RECIPES.under(recipe))
        pytest.skip(f"there is no {program}")
    folder = tmp_path / "project"
    toolchains = os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))
    settings = packages.environment(folder) | {"RUSTUP_HOME": toolchains, "REPOSITORY": "your-org/your-repo"}
    terminal = terminal_in(private_package, folder, settings)
    packages.write(folder, project)
    terminal.follow(RECIPES, recipe)
    assert list(terminal.folder.glob(fetched))
    with_token = [path for path in terminal.folder.rglob("*") if path.is_file() and b"ghs_" in path.read_bytes()]
    assert not with_token, "a tool stored the token"


@pytest.mark.parametrize("url", [packages.URL, "git@github.com:your-org/your-repo"])
def test_recipe_fetches_a_submodule(private_package, url, tmp_path):
    update, rewrite = (block for block in RECIPES.under("A git submodule") if block.language == "sh")
    terminal = terminal_in(private_package, tmp_path / "parent", {})
    head = terminal.run(f"github-token-broker exec -- git ls-remote {packages.URL} main").split()[0]
    git(terminal.folder, "init", "--quiet")
    (terminal.folder / ".gitmodules").write_text(f'[submodule "private"]\n\tpath = private\n\turl = {url}\n')
    git(terminal.folder, "update-index", "--add", ".gitmodules", "--cacheinfo", f"160000,{head},private")
    if url.startswith("git@"):
        terminal.run(rewrite.text, rewrite.where)
    terminal.run(update.text, update.where)
    assert (terminal.folder / "private" / "go.mod").is_file()


def test_key_is_imported_into_kms(deployment, tmp_path):
    (tmp_path / "work").mkdir()
    for name in ("key.pem", "kept.pem"):
        shutil.copy(deployment.key, tmp_path / "work" / name)
    terminal = Terminal(tmp_path / "work", dict(deployment.terminal.environment))
    by_client = terminal.follow(KMS, "Import the key")
    by_hand = terminal.follow(KMS, "Import it by hand")
    der = "openssl rsa -in kept.pem -pubout -outform DER 2>/dev/null"
    fingerprint = terminal.run(f"{der} | openssl dgst -sha256 -binary | openssl base64")
    assert fingerprint.strip() in by_hand.splitlines()
    assert f"SHA256:{fingerprint.strip()}" in by_client and "signing_key_arns" in by_client
    assert not (tmp_path / "work" / "import").exists()


@pytest.mark.parametrize("page", ["how-to/give-a-role-permission-to-invoke.md", "how-to/upgrade-from-go.md"])
def test_commands_of_other_pages_that_need_no_real_account(deployment, page):
    deployment.terminal.follow(Page(page))


def test_clone_without_a_valid_token_fails(deployment):
    (clone,) = [block for block in PLAIN.under("With git") if block.language == "sh"]
    with pytest.raises(AssertionError, match="Authentication failed"):
        deployment.terminal.run("TOKEN=ghs_made_up\n" + clone.text.rstrip() + " elsewhere\n")


def test_mint_token_fails_with_the_error_of_the_broker(deployment):
    deployment.set_installation("87654321")
    with pytest.raises(AssertionError) as ended:
        deployment.terminal.run("./mint-token; echo went on")
    deployment.set_installation("12345678")
    assert "exit code 1" in str(ended.value)
    assert "InstallationMismatch: GitHub repository installation 12345678 does not match" in str(ended.value)
    assert "went on" not in str(ended.value).split("went on\n", 1)[1], "a failed mint was taken for a token"


def test_token_is_passed_to_terraform(deployment):
    deployment.terminal.follow(Page("how-to/use-the-token-in-terraform.md"))
    assert deployment.status("/repos/your-org/your-repo", deployment.terminal.value("GITHUB_TOKEN")) == 200


@pytest.fixture
def steps():
    """The `run` steps of the workflow on the page, by name."""
    (workflow,) = [yaml.safe_load(block.text) for block in ACTIONS.under("Without the action") if block.language == "yaml"]
    return {step["name"]: step for step in workflow["jobs"]["build"]["steps"] if "run" in step}


def test_workflow_mints_masks_and_revokes(deployment, steps, tmp_path):
    output = tmp_path / "output"
    deployment.terminal.environment["GITHUB_OUTPUT"] = str(output)
    printed = deployment.terminal.run(steps["Mint a token"]["run"])
    token = output.read_text().removeprefix("token=").strip()
    assert deployment.status("/repos/your-org/your-repo", token) == 200
    assert printed.strip() == f"::add-mask::{token}", "the token was printed outside its mask"
    revoke = steps["Revoke the token"]
    assert list(revoke["env"]) == ["GH_TOKEN"]
    deployment.terminal.run(f"GH_TOKEN={token} {revoke['run']}")
    assert deployment.status("/repos/your-org/your-repo", token) == 401


def test_workflow_fails_if_the_broker_fails(deployment, steps, tmp_path):
    deployment.terminal.environment["GITHUB_OUTPUT"] = str(tmp_path / "output")
    deployment.set_installation("87654321")
    with pytest.raises(AssertionError, match="::error::InstallationMismatch: "):
        deployment.terminal.run(steps["Mint a token"]["run"])
    deployment.set_installation("12345678")
    assert not (tmp_path / "output").exists()


def test_leaked_token_is_revoked(deployment):
    deployment.terminal.run("export REPOSITORY=your-org/your-repo FUNCTION=github-token-broker; TOKEN=$(./mint-token)")
    printed = deployment.terminal.follow(RESPOND, "A token leaked")
    assert "HTTP 401" in printed and "your-org/your-repo" not in printed.splitlines()


def test_broker_is_stopped(tmp_path):
    """With moto, which has more Lambda settings than the sandbox."""
    aws = rig.Aws()
    role = aws.client("iam").create_role(RoleName="broker", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    functions, name = aws.client("lambda"), "github-token-broker"
    code = {"ZipFile": rig.write_zip(tmp_path / "broker.zip").read_bytes()}
    functions.create_function(FunctionName=name, Runtime="provided.al2023", Role=role, Handler="bootstrap", Code=code)
    environment = programs(tmp_path / "bin") | rig.CREDENTIALS | {"AWS_ENDPOINT_URL": aws.url, "FUNCTION": name}
    (tmp_path / "work").mkdir()
    Terminal(tmp_path / "work", environment).follow(RESPOND, "Stop the broker")
    assert functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 0
    aws.server.stop()


def test_log_line_and_error_are_printed(deployment):
    deployment.set_installation("87654321")
    printed = deployment.terminal.follow(ERRORS, "Show the error")
    deployment.set_installation("12345678")
    assert '"errorType":"InstallationMismatch"' in printed, "the log line is missing"
    assert "\nInstallationMismatch\nGitHub repository installation " in printed


def invoke_with_log() -> str:
    """The command of the errors page that prints the log line."""
    (invoke,) = [block.text for block in ERRORS.under("Show the error") if "LogResult" in block.text]
    return invoke


def test_token_is_found_in_the_log_by_its_hash(deployment):
    printed = deployment.terminal.run(invoke_with_log() + "TOKEN=$(jq -r .token /tmp/out.json)")
    line = next(json.loads(line) for line in printed.splitlines() if "token_hash" in line)
    assert deployment.terminal.follow(Page("how-to/find-out-who-minted-a-token.md")).strip() == line["token_hash"]
    assert len(base64.b64decode(line["token_hash"])) == 32


def test_response_matches_its_page(deployment):
    (expected,) = blocks("reference/response.md", "json")
    deployment.terminal.run(invoke_with_log())
    answer = json.loads((deployment.terminal.scratch / "out.json").read_text())
    assert_like(json.loads(expected.text), answer, expected.where)


def test_command_that_does_not_end_is_a_failure(tmp_path, monkeypatch):
    """It is killed with every process that it started, which would otherwise keep its output open."""
    monkeypatch.setattr(tutorial, "LIMIT", 0.5)
    (tmp_path / "work").mkdir()
    with pytest.raises(AssertionError, match="exit code -9"):
        Reader(tmp_path / "work", dict(os.environ)).run("sleep 3600 | cat")


@pytest.mark.parametrize("page", pages())
def test_block_has_a_known_language(page):
    text = (SRC / page).read_text()
    opening = re.findall(r"^ *```(.*)$", text, re.MULTILINE)[::2]
    assert [language for language in opening if language not in LANGUAGES] == [], f"{page}: name the language after the three backticks"
    marks = len(re.findall(rf"^ *{re.escape(MARK)}$", text, re.MULTILINE))
    marked = sum(block.marked for block in blocks(page, "sh"))
    assert marks == marked, f"{page}: a mark has no commands below it"
    for block in blocks(page, "json"):
        json.loads(block.text)


@pytest.mark.parametrize("page", [page for page in pages() if "```hcl" in (SRC / page).read_text()])
def test_terraform_on_a_page_uses_existing_inputs(page):
    inputs = {name for name, _ in readme.blocks("variables.tf", "variable")} | {"source", "version", "providers"}
    for block in blocks(page, "hcl"):
        parsed = hcl2.loads(block.text)
        called = [module for entry in parsed.get("module", []) for module in entry.values()]
        bare = [] if set(parsed) & {"module", "resource", "provider", "terraform"} else [parsed]
        for given in called + bare:
            unknown = {name for name in given if not name.startswith("__")} - inputs
            assert not unknown, f"{block.where}: the module has no input named {unknown}"


@pytest.mark.parametrize("page", [page for page in pages() if "```hcl" in (SRC / page).read_text()])
def test_terraform_on_a_page_is_formatted(page):
    if not (tool := shutil.which("terraform") or shutil.which("tofu")):
        pytest.skip("neither terraform nor tofu is on PATH")
    for block in blocks(page, "hcl"):
        text = textwrap.dedent(block.text)
        if text.count("\n") == 1:
            continue  # one line is aligned with lines that the reader has
        done = subprocess.run([tool, "fmt", "-"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.where}: {done.stderr}"
        assert done.stdout == text, f"{block.where} should be\n{done.stdout}"


def test_each_check_has_a_section():
    """The client's output links to them. An anchor has no dot and no underscore."""
    source = "".join(path.read_text() for path in (ROOT / "cli/src").glob("check*/**/*.rs")) + (ROOT / "cli/src/check.rs").read_text()
    kinds = "app|aws|function|identity|kms|mint|parameters|role"
    ids = set(re.findall(rf'"((?:{kinds})\.[a-z_]+|clock)"', source))
    text = (SRC / CHECK.name).read_text()
    sections = set(re.findall(r"^### ([a-z_.]+)$", text, re.MULTILINE))
    assert len(ids) > 25 and sections == ids
    for section in sections:
        assert "_" not in section or f'<a id="{section.replace(".", "").replace("_", "")}"></a>' in text


@pytest.mark.parametrize("page", [page for page in pages() if "```yaml" in (SRC / page).read_text()])
def test_actions_on_a_page_are_pinned_like_those_of_our_workflows(page):
    ours = dict(re.findall(r"uses: (\S+)@([0-9a-f]{40})", "".join(map(Path.read_text, (ROOT / ".github/workflows").glob("*.yml")))))
    assert "actions/checkout" in ours
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block.text)
        for action, version in re.findall(r"uses: (\S+)@(\S+)", block.text):
            if action.startswith("meigma/github-token-broker"):
                continue  # this project's own action is named by its release
            assert re.fullmatch(r"[0-9a-f]{40}", version), f"{block.where}: pin {action} by commit"
            assert version == ours.get(action, version), f"{block.where}: our workflows use {action}@{ours[action]}"


def test_every_command_is_run_or_marked():
    """Last in this file, because it reads what the tests above ran."""
    assert len(ELSEWHERE) == 3
    for page in pages():
        if page in ELSEWHERE or page in UNTESTED:
            continue
        for block in blocks(page, "sh"):
            assert block.marked != (block.where in RAN), (
                f"{block.where}: run it in docs/tests/test_commands.py, or put this line above it: {MARK}"
                if not block.marked
                else f"{block.where}: a test runs this, but it is marked as not run"
            )
