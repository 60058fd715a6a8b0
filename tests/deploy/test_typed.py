"""What the pages have an operator type can be typed: in a new shell, by cron, as the user that Veza is."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.commands import parses
from tests.deploy.test_deploy_files import DEPLOY, DRAIN, compose, text, unit
from tests.docs.pages import ROOT

PAGES = [DEPLOY / "compose.yaml", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS_OF_UP = {"--build", "--detach", "--no-deps", "--wait"}


def test_what_compose_is_told_stands_in_a_file() -> None:
    """A shell that was closed, and cron, know of no `export`; what is one machine's is not the project's."""
    example = text(".env.example").splitlines()
    told = {line.partition("=")[0] for line in example if line and not line.startswith("#")}
    assert set(re.findall(r"\$\{(\w+):\?", text("compose.yaml"))) == told
    assert {"/deploy/.env", "/deploy/secrets/"} <= set((ROOT / ".gitignore").read_text("utf-8").splitlines())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_is_done_with_compose_can_be_done(path: Path) -> None:
    """From the project's folder, to services that there are, with a folder that is theirs to write to."""
    services = compose()["services"]
    (uid,) = re.findall(r"^USER (\d+):", text("Dockerfile"), re.MULTILINE)
    for block in blocks(path.read_text("utf-8")):
        assert "export DOMAIN" not in block
        loops = re.findall(r"^for name in (.*); do$", block, re.MULTILINE)
        for line in re.findall(r"docker compose -f deploy/compose\.yaml ([^`\n]*)", block):
            command, *words = shlex.split(line.partition("  ")[0])
            named = {word for word in words if word in services}
            if command in {"run", "exec"}:
                (service,) = named
                told = " ".join(words[words.index(service) + 1 :])
                assert parses(told if command == "run" else told.removeprefix("veza ")), line
            else:
                assert command in {"up", "build"}, line
                assert set(words) - named - {"$name"} <= OPTIONS_OF_UP, line
                assert "$name" not in words or (loops and set(loops[0].split()) <= services.keys()), line
            for folder in re.findall(r"--volume (\S+?):", line):
                assert re.search(rf"^chown (?:-R )?{uid} {folder}$", block, re.MULTILINE), line
        assert block.count("docker compose ") == block.count("docker compose -f deploy/compose.yaml ")


def test_a_container_alone_has_time_to_end() -> None:
    """X13: Docker kills what has not ended after ten seconds, unless it was told otherwise."""
    for page in (DEPLOY / "Dockerfile", ROOT / "docs/operations.md"):
        (seconds,) = re.findall(r"docker run .*--stop-timeout (\d+) ", page.read_text("utf-8"))
        assert int(seconds) > DRAIN, page.name


def test_a_command_beside_the_units_is_as_they_are() -> None:
    """The same user, rights, folder and settings (its `veza.toml` too), also before the first start."""
    page = (ROOT / "docs/operations.md").read_text("utf-8").replace("\\\n", "")
    (line,) = re.findall(r"^exec systemd-run (.*)$", page, re.MULTILINE)
    words = shlex.split(line)
    program = next(at for at, word in enumerate(words) if not word.startswith("--"))
    assert words[program + 1 :] == ["$@"]
    told = {(key, value) for key, _, value in (word.partition("=") for word in words[:program]) if value}
    known = unit("veza.service")
    assert words[program] == known["ExecStart"][0].split()[0]
    kept = "EnvironmentFile", "StateDirectory", "StateDirectoryMode", "UMask"
    assert told == {
        ("--uid", known["User"][0]),
        ("--gid", known["Group"][0]),
        ("--setenv", known["Environment"][0].split()[0]),
        ("--working-directory", known["WorkingDirectory"][0]),
        *(("--property", f"{name}={known[name][0]}") for name in kept),
    }


def test_cron_calls_a_command_beside_the_units_by_the_path_that_it_has() -> None:
    """Cron looks into few folders for what it is told to do."""
    made = (ROOT / "docs/operations.md").read_text("utf-8")
    (script,) = re.findall(r"^cat > (\S+) <<'END'$", made, re.MULTILINE)
    assert f"\nEND\nchmod 755 {script}\n" in made
    called = (ROOT / "docs/backup.md").read_text("utf-8")
    (words,) = re.findall(rf"^15 3 \* \* \*  {script} (backup .*)$", called, re.MULTILINE)
    assert parses(words)


def test_what_is_done_with_the_image_alone_can_be_done() -> None:
    """A backup and a restore, with a folder that the user there can write to."""
    (uid,) = re.findall(r"^USER (\d+):", text("Dockerfile"), re.MULTILINE)
    done = []
    for block in blocks((ROOT / "docs/backup.md").read_text("utf-8")):
        for line in re.findall(r"^docker run (.*)$", block, re.MULTILINE):
            words = shlex.split(line)
            if "--entrypoint" not in words:
                told = words[words.index("veza") + 1 :]
                assert parses(" ".join(told)), line
                done.append(told[0])
            for folder in re.findall(r"--volume (/\S+?):", line):
                assert re.search(rf"^chown (?:-R )?{uid} {folder}$", block, re.MULTILINE), line
    assert done == ["backup", "restore"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_settings_can_be_pasted_into_a_file(path: Path) -> None:
    """To systemd and to Docker, what stands behind a value is a part of it."""
    text = path.read_text("utf-8")
    assert re.findall(r"^VEZA_\w+=\S*[ \t]+#.*", text, re.MULTILINE) == []


def blocks(page: str) -> Iterator[str]:
    """What is pasted as a whole, and the rest."""
    fenced = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    yield from fenced.findall(page)
    yield fenced.sub("", page)
