"""Files of `deploy/` as their own tools read them; where a tool is not installed, its test is left out."""

import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.deploy.test_deploy_files import DEPLOY, text
from veza.core import clock

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
# How much of the system a unit sees, from 0 to 10, as systemd counts it.
EXPOSED = 2.0


def tool(name: str) -> str:
    """Where it is, or else the test is left out."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*words: str | Path, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env={"PATH": PATH, "HOME": str(folder), **variables},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def certificate(folder: Path) -> Path:
    """One that nobody trusts, and its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), clock.now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "music.example.com")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_nginx_reads_its_file(tmp_path: Path) -> None:
    nginx = tool("nginx")
    pem = certificate(tmp_path)
    ours = re.sub(r"/etc/letsencrypt/\S+\.pem", str(pem), text("nginx/veza.conf"))
    (tmp_path / "veza.conf").write_text(ours.replace("/var/log/nginx/veza.log", str(tmp_path / "log")))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{}}\n"
        f"http {{ include {tmp_path}/veza.conf; }}\n"
    )
    said = run(nginx, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", folder=tmp_path)
    assert "warn" not in said, said


def test_caddy_reads_its_file(tmp_path: Path) -> None:
    caddy = tool("caddy")
    config = DEPLOY / "caddy/Caddyfile"
    run(caddy, "validate", "--adapter", "caddyfile", "--config", config, folder=tmp_path)
    two = {"DOMAIN": "a.example", "UPSTREAMS": "api-1:8080 api-2:8080"}
    adapted = run(caddy, "adapt", "--adapter", "caddyfile", "--config", config, folder=tmp_path, **two)
    assert '"dial":"api-2:8080"' in adapted


@pytest.mark.parametrize("name", ["veza.service", "veza-worker.service"])
def test_systemd_reads_its_units_and_finds_them_closed(name: str, tmp_path: Path) -> None:
    """As its own count has it: how much of the system the process sees."""
    systemd = tool("systemd-analyze")
    unit = tmp_path / name
    # Here it is elsewhere, and what is not there would be complained of.
    here = text(f"systemd/{name}").replace("/opt/veza/bin/veza", sys.executable)
    unit.write_text(here, "utf-8")
    said = run(systemd, "verify", "--man=no", unit, folder=tmp_path)
    assert not [line for line in said.splitlines() if name in line and "postgresql" not in line], said
    said = run(
        systemd,
        "security",
        "--offline=true",
        "--no-pager",
        f"--threshold={EXPOSED * 10:.0f}",
        unit,
        folder=tmp_path,
    )
    (level,) = re.findall(r"exposure level for \S+: ([\d.]+)", said)
    assert float(level) <= EXPOSED


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    run(tool("hadolint"), DEPLOY / "Dockerfile", folder=tmp_path)


def test_compose_reads_its_file(tmp_path: Path) -> None:
    docker = tool("docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose")
    copy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets", ".env"))
    run(copy / "secrets.sh", folder=copy)
    # As in a shell of which it knows nothing, and from elsewhere.
    (copy / ".env").write_text(text(".env.example").replace("\nDOMAIN=", "\nDOMAIN=music.example.com"))
    said = run(docker, "compose", "-f", copy / "compose.yaml", "config", folder=tmp_path)
    assert "https://music.example.com" in said
