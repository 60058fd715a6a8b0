"""What lies in `deploy/` fits the program that it is for: its settings, commands, ports, paths and files."""

import fnmatch
import re
import stat
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.commands import parses
from tests.docs.pages import ROOT
from veza.core import probes
from veza.core.server import Limits, serve
from veza.process import REFUSALS
from veza.routes import BASE
from veza.settings import Settings, load

DEPLOY = ROOT / "deploy"
# What names a setting and is none.
NOT_SETTINGS = {"VEZA_CONFIG"}
# What the proxy's ports take.
CAPABILITIES = {"proxy": ["NET_BIND_SERVICE"]}
DRAIN = serve.__kwdefaults__["drain_seconds"]


def files() -> list[Path]:
    """Every file, but for what somebody may have made for this machine."""
    own = {DEPLOY / "secrets", DEPLOY / ".env"}
    return [path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and not own & {path, *path.parents}]


def text(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(text("compose.yaml")))


def unit(name: str) -> Mapping[str, list[str]]:
    """Each setting of a unit, with all its values."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text(f"systemd/{name}").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_every_setting_that_is_named_is_there(path: Path) -> None:
    settings = {f"VEZA_{name.upper()}" for name in Settings.__struct_fields__} | NOT_SETTINGS
    assert set(re.findall(r"\bVEZA_[A-Z0-9_]+", path.read_text("utf-8"))) <= settings


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_every_command_that_is_named_is_there(path: Path) -> None:
    for words in re.findall(
        r"(?:`|^ExecStart=\S*/|exec \S+ )veza ([a-z][^`\n]*)", path.read_text("utf-8"), re.MULTILINE
    ):
        assert parses(words), words


def test_the_image_is_made_of_what_is_locked_and_runs_as_nobody() -> None:
    """M17: the process cannot write what it runs, and what was installed was named by hash."""
    lines = re.sub(r"\\\n\s*", "", text("Dockerfile")).splitlines()
    steps = [line.partition(" ")[::2] for line in lines if line and not line.startswith("#")]
    for install in re.findall(r"pip install [^&]*", "\n".join(rest for _, rest in steps)):
        assert "--require-hashes" in install or "--no-deps --no-build-isolation ." in install
    last = steps[max(i for i, (word, _) in enumerate(steps) if word == "FROM") :]
    users = [rest for word, rest in last if word == "USER"]
    assert users
    uid, gid = users[-1].split(":")
    assert "0" not in {uid, gid}
    # By itself useradd takes any group that is free, and the process would be in one that has no name.
    (made,) = [rest for word, rest in last if word == "RUN" and "useradd" in rest]
    assert f"groupadd --system --gid {gid} veza" in made
    assert f"useradd --system --uid {uid} --gid veza" in made
    named = dict(last)
    assert named["EXPOSE"] == str(Settings().port)
    assert yaml.safe_load(named["VOLUME"]) == ["/data"]
    assert "VEZA_DATA_DIR=/data" in named["ENV"]
    assert parses(" ".join(yaml.safe_load(named["CMD"])))
    assert "healthcheck.py" in named["HEALTHCHECK"]


def test_what_the_image_copies_is_there_and_nothing_secret_goes_to_it() -> None:
    let_in = [line[1:] for line in text("Dockerfile.dockerignore").splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in let_in)
    for names in re.findall(r"^COPY (?!--from)(.*) \S+$", text("Dockerfile"), re.MULTILINE):
        for name in names.split():
            assert any(fnmatch.fnmatch(name, pattern) for pattern in let_in), name
    assert not any("data" in name or "secret" in name or ".git" in name for name in let_in)


def test_a_container_that_is_not_alive_says_so(tmp_path: Path) -> None:
    """The check asks the port that the settings name, and nothing listens at this one."""
    done = subprocess.run(
        ["python3", "-I", str(DEPLOY / "healthcheck.py")], env={"PATH": "/usr/bin:/bin", "VEZA_PORT": "1"},
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "ConnectionRefusedError: [Errno 111] Connection refused\n")


def test_every_container_is_locked_in_and_watched() -> None:
    """X17: read-only, without capabilities that it does not need; its end is long enough, its log is not."""
    stack = compose()
    for name, service in stack["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service.get("cap_add", []) == CAPABILITIES.get(name, []), name
        assert ("ports" in service) == (name == "proxy"), name
        # Ours have one in the image.
        assert "test" in service.get("healthcheck", {}) or service["image"] == "veza", name
        assert set(service.get("secrets", [])) <= stack["secrets"].keys(), name
        assert set(service.get("networks", [])) <= stack["networks"].keys(), name
        assert set(service.get("depends_on", {})) <= stack["services"].keys(), name
        volumes = [mount.partition(":")[0] for mount in service.get("volumes", [])]
        assert all(v in stack["volumes"] or (DEPLOY / v).exists() for v in volumes), name
        if service["image"] == "veza":
            seconds = int(service["stop_grace_period"].removesuffix("s"))
            assert seconds > DRAIN, name
            assert parses(" ".join(service.get("command", ["serve"]))), name
    assert stack["networks"]["inside"]["internal"]
    for name in ("postgres", "valkey"):
        assert stack["services"][name]["networks"] == ["inside"], name


def test_valkey_works_in_a_folder_that_it_may_write_to() -> None:
    """Else it does not start: a tmpfs is root's, with the mode of the folder that it lies over."""
    valkey = compose()["services"]["valkey"]
    assert valkey["user"] == "valkey"
    assert valkey["working_dir"] == "/tmp", "everybody's, in any image"
    assert "/tmp" in valkey["tmpfs"]


def test_the_stack_is_the_whole_one_and_its_addresses_fit() -> None:
    """G16: the proxy alone is believed, and what is named is a service at the port where it listens."""
    stack = compose()
    services = stack["services"]
    assert services.keys() >= {"api-1", "api-2", "worker-1", "worker-2", "migrate"}
    trusted = services["api-1"]["environment"]["VEZA_TRUSTED_PROXIES"]
    assert services["proxy"]["networks"]["edge"]["ipv4_address"] == trusted
    assert set(services["proxy"]["networks"]) & set(services["api-1"]["networks"]) == {"edge"}
    scraped = [
        target
        for job in yaml.safe_load(text("prometheus/prometheus.yml"))["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    ]
    (joined,) = re.findall(rf"network {stack['name']}_(\w+)", text("prometheus/prometheus.yml"))
    for target in [*services["proxy"]["environment"]["UPSTREAMS"].split(), *scraped]:
        name, _, port = target.partition(":")
        assert joined in services[name]["networks"], target
        environment = services[name]["environment"]
        assert int(port) == int(environment.get("VEZA_WORKER_PORT", Settings().port)), target
    for name in ("api-1", "api-2", "worker-1", "worker-2"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_files_lie_in_one_folder_of_all_processes() -> None:
    """C20: where each finds what another has put, and Veza itself sees to it that it is on the disk."""
    ours = [service for service in compose()["services"].values() if service["image"] == "veza"]
    assert len(ours) == 5
    (mounts,) = {tuple(service["volumes"]) for service in ours}
    ((volume, _, folder),) = [mount.partition(":") for mount in mounts]
    assert volume in compose()["volumes"]
    assert f"VEZA_DATA_DIR={folder} " in text("Dockerfile")
    for service in ours:
        chosen = {name: str(value) for name, value in service["environment"].items() if name != "VEZA_CONFIG"}
        chosen |= {"VEZA_PUBLIC_URL": "https://music.example", "VEZA_DATABASE_URL": "postgresql://db/veza"}
        chosen["VEZA_DATA_DIR"] = folder
        assert load(chosen).storage == f"file://{folder}/files"


def test_an_address_that_is_fixed_is_handed_to_nobody_else() -> None:
    """G16: the proxy comes when the others have theirs; had one of them its address, it would not start."""
    stack = compose()
    fixed = [
        (network, ip_address(place["ipv4_address"]))
        for service in stack["services"].values()
        if isinstance(places := service.get("networks"), dict)
        for network, place in places.items()
        if "ipv4_address" in place
    ]
    assert fixed
    assert len(set(fixed)) == len(fixed)
    for network, address in fixed:
        (pool,) = stack["networks"][network]["ipam"]["config"]
        # Without a range of its own all of the subnet is handed out, the lowest first.
        subnet, handed_out = ip_network(pool["subnet"]), ip_network(pool.get("ip_range", pool["subnet"]))
        assert handed_out.subnet_of(subnet)
        # Where none is named it is taken of what is handed out, or else the first there is.
        gateway = ip_address(pool["gateway"])
        for one in (address, gateway):
            assert one in subnet
            assert one not in handed_out
            assert one not in (subnet.network_address, subnet.broadcast_address)
        assert gateway != address


def test_secrets_are_made_once_and_are_settings_that_make_sense(tmp_path: Path) -> None:
    """A14: at random, in a folder of their owner's; a second run changes none, data was made with them."""
    script = tmp_path / "secrets.sh"
    script.write_text(text("secrets.sh"), "utf-8")
    script.chmod(0o755)
    seen = []
    for _ in range(2):
        subprocess.run([script], check=True, capture_output=True)
        seen.append({path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()})
    assert seen[0] == seen[1]
    assert seen[0].keys() == {"postgres", "veza.toml"}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    stack = compose()
    assert {secret["file"] for secret in stack["secrets"].values()} <= {f"secrets/{name}" for name in seen[0]}
    environment = stack["services"]["worker-1"]["environment"] | {
        "VEZA_CONFIG": str(tmp_path / "secrets/veza.toml"),
        "VEZA_PUBLIC_URL": "https://music.example",
    }
    settings = load({name: str(value) for name, value in environment.items()})
    assert len(settings.secret_key) >= 64
    assert seen[0]["postgres"] in settings.database_url


@pytest.mark.parametrize("last", ["postgres", "veza.toml"])
def test_secrets_of_which_some_were_made_are_completed(last: str, tmp_path: Path) -> None:
    """Whoever is killed before one is there makes the rest the next time, and what belongs together fits."""
    script, stub = tmp_path / "secrets.sh", tmp_path / "bin" / "mv"
    stub.parent.mkdir()
    for path, content in (
        (script, text("secrets.sh")),
        (stub, f'#!/bin/sh\n[ "$2" != {last} ] && /bin/mv "$@"\n'),
    ):
        path.write_text(content, "utf-8")
        path.chmod(0o755)
    cut = subprocess.run(
        [script], env={"PATH": f"{stub.parent}:/usr/bin:/bin"}, capture_output=True, check=False
    )
    assert cut.returncode
    subprocess.run([script], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir() if path.suffix != ".new"}
    assert made.keys() == {"postgres", "veza.toml"}
    assert made["postgres"] in made["veza.toml"]


def test_a_password_that_is_lost_is_not_made_anew(tmp_path: Path) -> None:
    """PostgreSQL would refuse it. One line says where it still stands, and nothing is changed."""
    script, secrets = tmp_path / "secrets.sh", tmp_path / "secrets"
    script.write_text(text("secrets.sh"), "utf-8")
    script.chmod(0o755)
    subprocess.run([script], check=True, capture_output=True)
    (secrets / "postgres").unlink()
    kept = (secrets / "veza.toml").read_text()
    refused = subprocess.run([script], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "secrets/postgres is missing" in refused.stderr
    assert {path.name: path.read_text() for path in secrets.iterdir()} == {"veza.toml": kept}


@pytest.mark.parametrize("name", ["veza.service", "veza-worker.service"])
def test_a_unit_knows_how_veza_ends(name: str) -> None:
    """X2, X13: it waits for what is under way, and starts again but for what only its operator can mend."""
    known = unit(name)
    (start,) = known["ExecStart"]
    assert start.split()[0] == "/opt/veza/bin/veza"
    assert known["RestartPreventExitStatus"] == ["78"]
    assert REFUSALS
    assert known["Restart"] == ["on-failure"]
    # It is started when it says so. Where SQLite is migrated, that takes as long as it takes.
    assert known["Type"] == ["notify"]
    assert known.get("TimeoutStartSec") == (["infinity"] if name == "veza.service" else None)
    assert known["StartLimitIntervalSec"] == ["0"]
    assert "StartLimitBurst" not in known
    assert int(known["TimeoutStopSec"][0]) > DRAIN
    assert known["OOMPolicy"] == ["continue"]
    closed = {
        "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "", "StateDirectoryMode": "0700",
    }  # fmt: skip
    for setting, value in closed.items():
        assert known[setting] == [value], setting
    # What the sandbox of decoders is made of.
    assert set(known["RestrictNamespaces"][0].split()) == {"user", "net", "ipc"}
    assert "landlock_restrict_self" in known["SystemCallFilter"][0]


def test_proxies_let_through_what_veza_takes_and_keep_to_themselves_what_is_theirs() -> None:
    """Bodies as large as an upload may be; sockets and events at their paths; no figures for the world."""
    nginx, caddy = text("nginx/veza.conf"), text("caddy/Caddyfile")
    upload = Settings().max_file_size
    (most,) = re.findall(r"client_max_body_size (\d+)m;", nginx)
    assert int(most) * 1024**2 > upload
    (most,) = re.findall(r"max_size (\d+)MB", caddy)
    assert int(most) * 10**6 > upload
    assert f"127.0.0.1:{Settings().port};" in nginx
    assert f"127.0.0.1:{Settings().port}}}" in caddy
    inside = {path for handler in probes.PROBES for path in handler.paths}
    (hidden,) = re.findall(r"location ~ \^/\(\?:([\w|]+)\)\$ {\s*return 404;", nginx)
    assert {f"/{path}" for path in hidden.split("|")} == inside
    (hidden,) = re.findall(r"@inside path (.*)", caddy)
    assert set(hidden.split()) == inside
    (live,) = re.findall(rf"location ~ \^{BASE}/\(\?:([\w|/]+)\)\$", nginx)
    assert set(live.split("|")) == {"events", "events/signed", "chat/ws"}
    told = dict(re.findall(r"proxy_set_header (\S+) +(\S+);", nginx))
    assert told == {
        "Host": "$host", "Connection": "$veza_connection", "Upgrade": "$http_upgrade",
        "X-Forwarded-For": "$remote_addr", "traceparent": "''",
    }  # fmt: skip
    assert "header_up -traceparent" in caddy
    for idle in (*re.findall(r"keepalive_timeout (\d+)s;", nginx), *re.findall(r"keepalive (\d+)s", caddy)):
        assert int(idle) < Limits().idle_seconds
    assert "keepalive_timeout" in nginx.partition("server {\n")[0]
    assert "keepalive 20s" in caddy
    # What Caddy knows by its type to be events goes out at once; an interval for all is only in the way.
    assert not re.findall(r"^\s*flush_interval", caddy, re.MULTILINE)
    # K15: neither writes addresses that open something by themselves into its log.
    assert [server.count("access_log off;") for server in nginx.split("\nserver {\n")[1:]] == [1, 1]
    assert "request>uri delete" in caddy
    # X4, X15: on a full disk or without S3 no process is ready, and most of what is asked is answered.
    assert re.findall(r"health_uri (\S+)", caddy) == ["/healthz"]
