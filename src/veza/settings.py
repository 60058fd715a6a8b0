"""Settings: from the environment (``VEZA_…``) or ``veza.toml``; the only reader of the environment."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from veza.core.exchange import parse_networks
from veza.core.limits import parse_limit


class BadSetting(Exception):
    """A setting is unknown or makes no sense."""


def doc(text: str) -> msgspec.Meta:
    """What a setting does, in one sentence; the README's table is made of these."""
    return msgspec.Meta(description=text)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an operator can choose; each field is ``VEZA_`` and its name in capitals."""

    host: Annotated[str, doc("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, doc("Port to listen on; 0 takes a free one.")] = 8080
    public_url: Annotated[str, doc("How people reach this server; links in mails begin with it.")] = ""
    data_dir: Annotated[Path, doc("Folder for the database, files, mails and secrets.")] = Path("data")
    database_url: Annotated[
        str, doc("`sqlite:///path` or `postgresql://…`; by default SQLite in the data folder.")
    ] = ""
    storage_url: Annotated[str, doc("`file:///path` or `s3://bucket`; by default the data folder.")] = ""
    redis_url: Annotated[
        str, doc("Valkey or Redis for limits shared by several processes; in-process if unset.")
    ] = ""
    secret_key: Annotated[
        str, doc("At least 32 bytes; made at the first start and kept in the data folder if unset.")
    ] = ""
    smtp_url: Annotated[
        str, doc("`smtp://user:password@host:587`; if unset, mails are written as `.eml` files.")
    ] = ""
    mail_dir: Annotated[
        Path | None, doc("Folder for `.eml` files; by default `mail` in the data folder.")
    ] = None
    mail_from: Annotated[str, doc("Sender of mails.")] = "Veza <noreply@localhost>"
    rate_limit_enabled: Annotated[bool, doc("Whether rate limits apply.")] = True
    rate_limit_global: Annotated[str, doc("Requests from one address.")] = "100/min"
    rate_limit_login: Annotated[str, doc("Logins and registrations from one address, each.")] = "5/min"
    rate_limit_verification: Annotated[str, doc("Verification mails to one address.")] = "3/hour"
    rate_limit_upload: Annotated[str, doc("Uploads of one user.")] = "10/hour"
    trusted_proxies: Annotated[
        str, doc("Addresses or CIDR ranges, with commas, whose X-Forwarded-For is believed.")
    ] = ""
    cors_origins: Annotated[str, doc("Origins, with commas, whose pages may call the API; `*` for all.")] = ""
    require_verified_email: Annotated[
        bool, doc("Whether uploading and selling need a verified e-mail address.")
    ] = False
    max_file_size: Annotated[int, doc("Largest audio file, in bytes.")] = 500 * 1024**2
    quota: Annotated[int, doc("Bytes a user may store.")] = 1024**3
    media_jobs: Annotated[int, doc("Audio files processed at a time.")] = 1
    log_format: Annotated[str, doc("`json`, `console`, or `auto`: console on a terminal.")] = "auto"
    log_level: Annotated[str, doc("`debug`, `info`, `warning` or `error`.")] = "info"
    access_log: Annotated[bool, doc("Whether each request is logged.")] = True

    s3: Annotated[dict[str, str], doc("For `s3://`: the `AWS_…` variables, taken from the environment.")] = {}

    @property
    def base_url(self) -> str:
        """The public URL, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'veza.db'}"

    @property
    def storage(self) -> str:
        """The storage's URL."""
        return self.storage_url or f"file://{self.data_dir.absolute() / 'files'}"

    @property
    def mail_folder(self) -> Path:
        """Where `.eml` files go."""
        return self.mail_dir or self.data_dir / "mail"


_CHOICES = {"log_format": ("auto", "json", "console"), "log_level": ("debug", "info", "warning", "error")}
_LIMITS = ("rate_limit_global", "rate_limit_login", "rate_limit_verification", "rate_limit_upload")


def load(environment: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """The settings: the file's, overruled by the environment's.

    Raises :class:`BadSetting` with one clear line.
    """
    environment = os.environ if environment is None else environment
    given: dict[str, Any] = {}
    file = file or Path(environment.get("VEZA_CONFIG", "veza.toml"))
    if file.exists():
        try:
            given = tomllib.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise BadSetting(f"{file}: {error}") from None
    for name, value in environment.items():
        if name.startswith("VEZA_") and name != "VEZA_CONFIG":
            given[name.removeprefix("VEZA_").lower()] = value
    given["s3"] = {name: value for name, value in environment.items() if name.startswith("AWS_")}
    return _build(given)


def _build(given: Mapping[str, Any]) -> Settings:
    kinds = get_type_hints(Settings)
    values: dict[str, Any] = {}
    for name, value in given.items():
        shown = f"VEZA_{name.upper()}"
        if name not in kinds:
            raise BadSetting(f"{shown} is not a setting of Veza.")
        try:
            values[name] = _convert(value, kinds[name])
        except ValueError:
            raise BadSetting(f"{shown}={value!r} is not {_wanted(kinds[name])}.") from None
    settings = Settings(**values)
    _check(settings)
    return settings


def _plain(kind: Any) -> Any:
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(kind) is dict:
        return dict
    return next((part for part in get_args(kind) if part is not type(None)), kind)


def _convert(value: Any, kind: Any) -> Any:
    plain = _plain(kind)
    if plain is bool and isinstance(value, str):
        known = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if value.lower() not in known:
            raise ValueError(value)
        return known[value.lower()]
    if plain is int and isinstance(value, str):
        return int(value)
    if plain is Path:
        return Path(value).expanduser()
    if not isinstance(value, plain):
        raise ValueError(value)  # noqa: TRY004 - one kind of error for one kind of mistake
    return value


def _wanted(kind: Any) -> str:
    return {bool: "true or false", int: "a whole number", Path: "a path"}.get(_plain(kind), "a text")


def _check(settings: Settings) -> None:
    for name, choices in _CHOICES.items():
        if getattr(settings, name) not in choices:
            raise BadSetting(f"VEZA_{name.upper()} must be one of: {', '.join(choices)}.")
    for name in _LIMITS:
        try:
            parse_limit(name, getattr(settings, name))
        except ValueError:
            raise BadSetting(f"VEZA_{name.upper()} must look like 100/min, 5/hour or 10/day.") from None
    try:
        parse_networks(settings.trusted_proxies)
    except ValueError as error:
        raise BadSetting(f"VEZA_TRUSTED_PROXIES: {error}.") from None
    if not settings.database.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise BadSetting("VEZA_DATABASE_URL must begin with sqlite:/// or postgresql://.")
    if not settings.storage.startswith(("file:///", "s3://")):
        raise BadSetting("VEZA_STORAGE_URL must begin with file:/// or s3://.")
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        raise BadSetting("VEZA_PUBLIC_URL must begin with http:// or https://.")
    if not 0 <= settings.port <= 65535:  # noqa: PLR2004 - what a port is
        raise BadSetting("VEZA_PORT must be between 0 and 65535.")
