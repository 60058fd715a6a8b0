"""The pages say what the code does: what can be made from it is, the rest is looked up in it."""

import re
from pathlib import Path

import pytest

from tests.contract.check import ENDPOINTS
from tests.contract.test_contract import NOT_YET
from tests.deploy.commands import parses
from tests.docs.pages import COMMAND, PAGES, ROOT, SOURCE, errors, events, job_kinds, sections
from veza.reactions import REACTIONS
from veza.settings import Settings

FOLDERS = (ROOT, ROOT / "docs", ROOT / "docs/adr", ROOT / "docs/reference")
WRITTEN = sorted(path for folder in FOLDERS for path in folder.glob("*.md"))
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))
TERM = re.compile(r"^\*\*(?P<name>[^*]+)\*\*(?: \(`(?P<code>[^`]+)`\))?: ", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_what_is_made_from_the_code_is_up_to_date(path: Path) -> None:
    before = path.read_text("utf-8")
    assert PAGES[path](before) == before, f"run `.venv/bin/{COMMAND}`"


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_every_place_that_a_page_names_is_there(path: Path) -> None:
    """Links of a page, and paths of the project in `code`, which may be patterns or end with a method."""
    text = path.read_text("utf-8")
    links = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [link for link in links if ":" not in link and link and not (path.parent / link).exists()]
    paths = re.findall(r"`((?:src|tests|bench|docs|requirements)/[^`\s]*)`", text)
    missing += [named for named in paths if not any(ROOT.glob(named.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_every_command_that_a_page_names_is_there(path: Path) -> None:
    commands = set(re.findall(r"^(\w+):.*## ", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE))
    assert named <= commands


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_every_command_of_veza_that_a_page_names_is_there(path: Path) -> None:
    """With its options; what it is told may be anything."""
    named = re.findall(r"(?:`|^)(?:\.venv/bin/)?veza ([a-z][^`\n]*)", path.read_text("utf-8"), re.MULTILINE)
    assert [words for words in named if not parses(words)] == []


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_every_setting_that_a_page_names_is_there(path: Path) -> None:
    settings = {f"VEZA_{name.upper()}" for name in Settings.__struct_fields__} | {"VEZA_CONFIG"}
    assert set(re.findall(r"\bVEZA_[A-Z0-9_]+", path.read_text("utf-8"))) <= settings


def test_the_readme_counts_the_endpoints_that_are_here() -> None:
    found = re.search(r"Of the (\d+) endpoints that the API promises, (\d+) are here", read("README.md"))
    assert found is not None
    assert [int(number) for number in found.groups()] == [len(ENDPOINTS), len(ENDPOINTS) - len(NOT_YET)]


def test_the_tutorial_says_an_error_as_the_readme_does() -> None:
    """By its message, and not by a traceback; and nobody waits for ever for a song that has failed."""
    readme, tutorial = (
        re.findall(r"^ask\(\) .*?one part of an answer$", read(name), re.DOTALL | re.MULTILINE)
        for name in ("README.md", "docs/tutorial.md")
    )
    assert len(readme) == 1
    assert tutorial == readme
    assert "= ready ]" not in read("docs/tutorial.md")


def test_every_word_of_the_glossary_is_one_of_the_code() -> None:
    source = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    terms = [(found["code"] or found["name"]) for found in TERM.finditer(read("GLOSSARY.md"))]
    assert len(terms) > 40
    assert [term for term in terms if not re.search(rf"\b{re.escape(term)}", source, re.IGNORECASE)] == []


def test_the_glossary_says_each_word_once_and_in_order() -> None:
    for title, section in sections(read("GLOSSARY.md")):
        names = [found["name"].casefold() for found in TERM.finditer(section)]
        assert names == sorted(set(names)), title


def test_every_room_and_every_lane_is_in_the_architecture() -> None:
    text = read("ARCHITECTURE.md")
    rooms = {path.name for path in (SOURCE / "rooms").iterdir() if (path / "__init__.py").exists()}
    lanes = {job.lane for job in job_kinds()}
    assert {name for name in rooms | lanes if f"`{name}`" not in text} == set()


def test_every_module_of_the_core_is_in_the_architecture() -> None:
    """A reader who looks for the one place of a thing finds it; parts of a module go by its name."""
    text = read("ARCHITECTURE.md")
    modules = {path.stem for path in (SOURCE / "core").glob("[a-z]*.py")}
    parts = {name for name in modules if any(name.startswith(f"{whole}_") for whole in modules)}
    assert {name for name in modules - parts if not re.search(rf"`(?:core/)?{name}\.py`", text)} == set()


def test_what_reacts_to_an_event_is_a_job_and_what_it_reacts_to_is_an_event() -> None:
    assert set(REACTIONS) <= set(events())
    assert {job.name for jobs in REACTIONS.values() for job in jobs} <= {job.name for job in job_kinds()}


def test_names_of_events_and_jobs_are_unique_and_alike() -> None:
    kinds = [event.kind for event in events()]
    assert len(kinds) == len(set(kinds))
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_]+", name) for name in [*kinds, *(j.name for j in job_kinds())])


def test_an_error_code_has_one_status_and_says_something() -> None:
    """G22: the same message for the same code, and none of them tells of paths, SQL or versions."""
    codes = [code for _, code in errors()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", code) for code in codes)
    assert all(said.endswith(".") for said in errors().values())


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_a_decision_says_what_it_costs_and_what_holds_it(path: Path) -> None:
    titles = [title for title, _ in sections(path.read_text("utf-8"))]
    assert titles == ["Context", "Choice", "Price", "What holds it"]
    held_by = dict(sections(path.read_text("utf-8")))["What holds it"]
    assert re.search(r"`(?:tests/|pyproject\.toml)", held_by), "name the test"


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))
