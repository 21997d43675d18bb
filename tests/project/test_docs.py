"""
Documentation fails the build when it lies: links, claims, actions, reasons, commands and variables are looked up.
"""

import re
import subprocess
from pathlib import Path

import pytest
import typer.main

from broker.cli import build
from broker.cli.app import app
from broker.domain.access import Reason
from broker.domain.audit import Action
from broker.domain.templates import FIELDS
from broker.web import documents

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of(group, before=""):
    """Each command by the words that name it: `serve`, `urls rewrite`."""
    named = {}
    for name, command in group.commands.items():
        deeper = hasattr(command, "commands")
        named |= commands_of(command, f"{before}{name} ") if deeper else {before + name: command}
    return named


COMMANDS = commands_of(typer.main.get_command(app))
RUN_OPTIONS = {option for action in build.arguments()._actions for option in action.option_strings}
RUN_VARIABLES = {"BROKER_API_KEY", "BROKER_CA_FILE", "BROKER_RUN_DIR", "BROKER_SERVER"}


def options_of(command):
    if command == "run":
        return RUN_OPTIONS
    return {o for p in getattr(COMMANDS.get(command), "params", ()) for o in [*p.opts, *p.secondary_opts]}


def page(name):
    return (ROOT / "docs" / name).read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())

    assert [] == [link for link in links if "://" not in link and not (path.parent / link).exists()]


def test_every_page_is_in_the_index():
    index = page("index.md")

    assert [] == [path.name for path in PAGES[1:] if path.name != "index.md" and f"({path.name})" not in index]


@pytest.mark.parametrize("claim", documents.CLAIMS)
def test_every_claim_is_described(claim):
    assert f"| `{claim}` |" in page("token.md")


def test_no_claim_is_described_that_does_not_exist():
    assert set(documents.CLAIMS) == set(re.findall(r"^\| `(\w+)` \|", page("token.md"), re.MULTILINE))


def test_the_audit_page_lists_just_the_actions_there_are():
    assert sorted(Action) == sorted(re.findall(r"^\| `(\w+\.\w+)` \|", page("audit.md"), re.MULTILINE))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_for_skipping_is_described(reason):
    assert f"`{reason}`" in page("build-api.md")


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_the_template_is_described(field):
    assert f"`{field}`" in page("admin-api.md")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_documented(command):
    text = "".join(path.read_text() for path in PAGES)

    assert f"broker {command}" in text or command == "version"


@pytest.mark.parametrize("option", sorted(RUN_OPTIONS - {"-h", "--help"}))
def test_every_option_of_a_run_is_described(option):
    assert f"`{option}" in page("running-builds.md")


def test_every_command_line_in_the_documentation_can_be_parsed():
    """
    Each `broker …` line of a shell block names a command that exists, with options that it has.
    """
    wrong = []
    for path in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.match(r"\s*broker ([a-z-]+)(.*)", line)
                if found is None:
                    continue
                words = f"{found[1]} {found[2].split()[0]}" if found[2].split() else found[1]
                name = words if words in COMMANDS else found[1]
                known = options_of(name)
                given = re.findall(r"(?<=\s)--[a-z-]+", found[2].split("#")[0].split(" -- ")[0])
                if name not in COMMANDS or set(given) - known:
                    wrong.append(f"{path.name}: {line.strip()}")

    assert [] == wrong


def test_every_environment_variable_that_a_command_reads_is_documented():
    text = "".join(path.read_text() for path in PAGES)
    variables = RUN_VARIABLES | {p.envvar for command in COMMANDS.values() for p in command.params if p.envvar}

    assert [] == sorted(name for name in variables if name not in text)


def test_every_threat_test_that_the_security_model_names_exists():
    """
    And each T-number that a test carries stands in the security model.
    """
    model = page("security-model.md")
    sources = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    named = set(re.findall(r"`(test_\w+)`", model))
    defined = {name for text in sources.values() for name in re.findall(r"def (test_\w+)", text)}
    carried = {int(number) for text in sources.values() for number in re.findall(r"\bT(\d+)\b", text)}
    listed = {int(number) for number in re.findall(r"\bT(\d+)\b", model)}

    assert set() == named - defined
    assert set() == carried - listed


def test_nothing_that_is_committed_names_a_machine_or_an_index():
    """
    No path of somebody's machine, no address of a package index, no private key.
    """
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    here = f"{ROOT.parent}/"
    wrong = []
    for name in files:
        if name.endswith((".png", ".gz", ".whl")) or not (ROOT / name).is_file():
            continue
        text = (ROOT / name).read_text(errors="replace")
        if here in text or re.search(r"(index-url|find-links)[ =]+https?://(?!packages|127)\S*pypi", text):
            wrong.append(name)
        if "-----BEGIN PRIVATE" + " KEY-----" in text:
            wrong.append(name)

    assert [] == wrong
