"""Backups as docs/backup.md tells of them: its very lines, beside a server; and restores that are killed."""

import asyncio
import os
import re
import shlex
import subprocess
from pathlib import Path

from tests.docs.pages import ROOT
from tests.faults.nursery import fork
from tests.faults.test_process_serve import WAIT, person, run, serving
from tests.rooms.test_uploads_files import PDF

VEZA = ".venv/bin/veza"


def lines() -> list[str]:
    text = (ROOT / "docs" / "backup.md").read_text("utf-8")
    return [line for block in re.findall(r"```sh\n(.+?)```", text, re.DOTALL) for line in block.splitlines()]


async def paste(line: str, home: Path) -> str:
    """Do what a line says, in the folder of an installation; what it answers."""
    line = line.replace("/mnt/backups", str(home / "backups"))
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    if VEZA not in line:
        await asyncio.to_thread(subprocess.run, ["sh", "-ec", line], cwd=home, env=environment, check=True)
        return ""
    before, words = line.split(VEZA)
    chosen = dict(word.split("=") for word in shlex.split(before))
    process = await fork(*shlex.split(words), folder=home, environment=environment | chosen)
    out, err = await asyncio.wait_for(process.communicate(), WAIT)
    assert process.returncode == 0, (line, err.decode())
    return out.decode()


async def test_the_lines_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    """X12: as an operator does it, in processes of their own; a restore that is killed is begun again."""
    async with serving(tmp_path / "data") as served:
        registered = await served.client.post("/auth/register", json=person("ada"))
        token = registered.json()["data"]["token"]["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        sent = await served.client.post("/uploads", files={"file": ("a.pdf", PDF)}, headers=headers)
        upload = sent.json()["data"]["upload_id"]
        answers = {line: await paste(line, tmp_path) for line in lines()}
        assert await served.end() == 0
    said = "\n".join(answers.values())
    for part in ("1 files", "the server's secret is not in it", "is whole", "all read again", "all is well"):
        assert part in said
    restored = tmp_path / "restored" / "files" / "uploads" / upload / "original"
    assert await asyncio.to_thread(restored.read_bytes) == PDF
    other, secret = tmp_path / "other", (tmp_path / "veza-secret.key").read_text().strip()
    for delay in (0.15, 0.3):
        environment = {"VEZA_DATA_DIR": str(other), "VEZA_SECRET_KEY": secret, "PATH": os.environ["PATH"]}
        words = ("restore", str(tmp_path / "backups"), "--verify")
        process = await fork(*words, folder=tmp_path, environment=environment)
        await asyncio.sleep(delay)
        process.kill()
        await process.communicate()
    code, out, err = await run(other, *words, VEZA_SECRET_KEY=secret)
    whole = code == 0 and "all read again" in out
    assert whole or (code == 1 and "there is a database" in err), err  # the last one may have come to its end
    assert (await run(other, "fsck", VEZA_SECRET_KEY=secret))[:2] == (0, "1 files (0.0 MB): all is well\n")
