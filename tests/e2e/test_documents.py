"""The documents say what the program has: every option, every drop reason; every link leads somewhere."""

import re
import subprocess
from pathlib import Path

import pytest
from lab.node import BUILD

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
MANUAL = (ROOT / "cmd" / "xdplb.8").read_text().replace("\\-", "-")
REASONS = re.findall(r'^X\((\w+), "(.*)"\)$', (ROOT / "user/base/reasons.def").read_text(), re.M)


def help_of(*command: str) -> str:
    return subprocess.run([BUILD / "xdplb", *command, "--help"], capture_output=True, text=True, check=True).stdout


def subcommands(*command: str) -> list[str]:
    _, _, listed = help_of(*command).partition("Subcommands:\n")
    return re.findall(r"^  (\w+)", listed, re.M)


def options(*command: str) -> set[str]:
    return set(re.findall(r"(?<=[ ,])--[a-z][a-z-]*", re.sub(r"Excludes:.*", "", help_of(*command)))) - {"--help"}


def every_command() -> list[tuple[str, ...]]:
    found = []
    for name in subcommands():
        below = subcommands(name)
        found += [(name, sub) for sub in below]
        if not below or options(name):
            found.append((name,))
    return found


def test_there_is_something_to_compare():
    assert ("lb",) in every_command() and ("vip", "add") in every_command()
    assert {"--idev", "--spin", "--heartbeat-ms"} <= options("lb")
    assert len(REASONS) > 15


@pytest.mark.parametrize("name, text", REASONS, ids=[name for name, _ in REASONS])
def test_readme_explains_every_drop_reason(name, text):
    assert f"| `{name}` | {text} |" in README


def test_readme_names_no_other_reason():
    table = README.partition("### Drop reasons")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == [name for name, _ in REASONS]


def test_readme_explains_every_option_of_lb():
    table = README.partition("### Options of `lb`")[2].partition("\n### ")[0]
    assert {option for option in options("lb") if not re.search(rf"`{option}\b", table)} == set()


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_readme_and_manual_have_every_command_and_option(command):
    assert f"`{command[0]}" in README or f"`{' '.join(command)}" in README
    assert f"\\fBxdplb {' '.join(command)}\\fR" in MANUAL
    assert {option for option in options(*command) if option not in MANUAL} == set()


def test_completion_offers_every_option():
    script = subprocess.run([BUILD / "xdplb", "completion"], capture_output=True, text=True, check=True).stdout
    for command in every_command():
        words = re.search(rf'^ *"{" ".join(command)}"\) words="(.*?)"', script, re.M)
        assert words, f"{command} is not there"
        assert options(*command) <= set(words[1].split())


def documents() -> list[Path]:
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in tracked.split()]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_folder_explains_itself():
    folders = ["kern", "umem", "user", "cmd", "configs", "tools", "tests", "tests/fuzz", "tests/bench", "tests/vm"]
    folders += [f"user/{layer}" for layer in ("base", "net", "lb", "ctl", "path")]
    assert [folder for folder in folders if not (ROOT / folder / "README.md").exists()] == []
