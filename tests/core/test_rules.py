"""Rules that hold for the whole source and that no type checker or linter knows."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "veza"
LONGEST_FILE = 400

# Spelt so that this file does not break its own rule.
REGISTRIES = [
    r"pypi\.(?:python\.)?org",
    r"files\.pythonh(?:osted)\.org",
    r"registry\.npmjs\.(?:org|com)",
    r"deb\.debian\.org",
    r"proxy\.golang\.org",
]

# What may stand in one place only: the pattern, the place (as globs), and the rule that it breaks elsewhere.
RESERVED = [
    (r"os\.environ|\bgetenv\(", ["settings.py"], "settings.py alone reads the environment"),
    (
        r"\bsqlalchemy\b|\.execute\(",
        ["core/**", "migrations/**", "rooms/**/*store.py", "rooms/**/tables.py"],
        "SQL stands in a store",
    ),
    (
        r"datetime\.(?:now|today|utcnow)\(|\btime\.time\(",
        ["core/clock.py"],
        "core/clock.py alone asks for the time",
    ),
    (r"\buuid[1-8]\(", ["core/ids.py"], "core/ids.py alone makes ids"),
    (r"\b(?:TODO|FIXME|XXX)\b", [], "what is left to do is not kept in the source"),
]


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


def text_files() -> Iterator[Path]:
    """Every file that is the project's own text: what stands at the top, and the folders of its work."""
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for folder in (".ci", "bench", "deploy", "docs", "requirements", "src", "tests"):
        for path in (ROOT / folder).rglob("*"):
            # What is compiled comes and goes by other names while others import.
            if path.is_file() and path.suffix != ".gz" and path.parent.name != "__pycache__":
                yield path


def lines_with(pattern: str, files: Iterator[Path]) -> list[str]:
    found = []
    for path in files:
        for number, line in enumerate(path.read_text("utf-8", errors="ignore").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return found


def matches(path: Path, globs: list[str]) -> bool:
    relative = path.relative_to(SOURCE).as_posix()
    for glob in globs:
        expression = (
            re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        )
        if re.fullmatch(expression, relative):
            return True
    return False


@pytest.mark.parametrize(("pattern", "places", "rule"), RESERVED, ids=[rule for *_, rule in RESERVED])
def test_reserved_to_one_place(pattern: str, places: list[str], rule: str) -> None:
    elsewhere = (path for path in python_files("src") if not matches(path, places))
    assert lines_with(pattern, elsewhere) == [], rule


def test_a_room_is_called_through_its_service() -> None:
    """A room keeps its statements, endpoints and jobs to itself; service, schemas and events are for all."""
    found = []
    for room in (SOURCE / "rooms").iterdir():
        own = re.escape(room.stem)
        inner = rf"veza\.rooms\.(?!{own}\b)\w+(?:\.| import .*\b)(?:\w+_)?(?:store|routes|jobs)\b"
        files = room.rglob("*.py") if room.is_dir() else iter([room])
        found += lines_with(inner, iter(files))
    assert found == []


def test_every_silenced_warning_says_which_and_why() -> None:
    silenced = r"#\s*(?:noqa|type:\s*ignore)"
    reasoned = r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)* - \S|# type: ignore\[[\w, -]+\] +# \S"
    found = lines_with(
        silenced, (path for path in python_files("src", "tests", "bench") if path != Path(__file__))
    )
    assert [line for line in found if not re.search(reasoned, line)] == []


def test_no_source_file_is_too_long_to_read() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in python_files("src")}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def test_nothing_names_the_host_of_a_package_registry() -> None:
    assert lines_with("|".join(REGISTRIES), text_files()) == []


@pytest.mark.parametrize(
    ("name", "extras"), [("veza", []), ("tracing", ["tracing"]), ("test", ["tracing", "test"])]
)
def test_the_lock_file_fulfils_what_the_project_asks_for(name: str, extras: list[str]) -> None:
    """What is installed is named by hash, so nobody between here and there can exchange it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    for extra in extras:
        wanted += [Requirement(line) for line in project["optional-dependencies"][extra]]
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    pins: dict[str, list[str]] = {}
    for entry in entries:
        pin = Requirement(entry.split(" \\\n")[0])
        pins.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
        assert "--hash=sha256:" in entry, f"{pin.name} is not locked by hash"
    for requirement in wanted:
        versions = pins.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in requirements/{name}.txt: run `make lock`"
        assert all(version in requirement.specifier for version in versions), (
            f"{requirement}: run `make lock`"
        )
