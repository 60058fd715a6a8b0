"""`requirements/install`, broken off, with a Python that only pretends: what is real there is the script."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Makes an environment of itself; as its pip it writes down that it was asked, and once dies in the middle.
PYTHON = """#!/bin/sh
case "$*" in
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo venv >>log ;;
*"pip install"*)
    echo pip >>log
    if [ -e break ]; then rm break && touch .venv/half && kill -9 $PPID && sleep 1; fi
    [ ! -e .venv/half ] ;;
esac
"""


def _install(project: Path) -> tuple[int, list[str]]:
    """How it ended, and what was done."""
    (project / "log").write_text("")
    environment = {"PATH": os.defpath, "PYTHON": str(project / "python")}
    done = subprocess.run(
        [project / "requirements" / "install", "veza"],
        cwd=project, env=environment, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return done.returncode, (project / "log").read_text().split()


def test_an_installation_that_was_broken_off_is_begun_anew(tmp_path: Path) -> None:
    """X14: pip leaves a package half exchanged when it is killed; what stands on that never works again."""
    (tmp_path / "requirements").mkdir()
    shutil.copy2(ROOT / "requirements" / "install", tmp_path / "requirements" / "install")
    (tmp_path / "requirements" / "veza.txt").write_text("a==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    (tmp_path / "break").touch()
    assert _install(tmp_path) == (-9, ["venv", "pip"])
    assert _install(tmp_path) == (0, ["venv", "pip", "pip"])
    assert _install(tmp_path) == (0, [])
    # Nor is one continued that was never said to be whole, or stands elsewhere now.
    (tmp_path / ".venv" / "installed" / "place").unlink()
    assert _install(tmp_path) == (0, ["venv", "pip", "pip"])
    (tmp_path / ".venv" / "installed" / "place").write_text("/elsewhere\n")
    assert _install(tmp_path) == (0, ["venv", "pip", "pip"])
    # A new lock file is installed over the old.
    (tmp_path / "requirements" / "veza.txt").write_text("a==2\n")
    assert _install(tmp_path) == (0, ["pip"])
