"""Settings: from the environment (``VEZA_…``) or ``veza.toml``; the only reader of the environment."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from veza.core.exchange import parse_networks
from veza.core.limits import parse_limit
from veza.core.service_urls import mistake
from veza.core.web_addresses import is_base, is_origin, is_page_origin
from veza.rooms.marketplace.money import BASIS_POINTS
from veza.rooms.marketplace.payments import NAMES


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
    database_read_url: Annotated[
        str, doc("A streaming copy of the PostgreSQL database, for reading; if unset, there is none.")
    ] = ""
    storage_url: Annotated[str, doc("`file:///path` or `s3://bucket`; by default the data folder.")] = ""
    redis_url: Annotated[
        str,
        doc("Valkey or Redis (`redis://…`) for what several processes tell and count; in-process if unset."),
    ] = ""
    secret_key: Annotated[
        str,
        doc("At least 32 bytes, the same for all processes; by default `secret.key` in the data folder."),
    ] = ""
    smtp_url: Annotated[
        str,
        doc("`smtp+starttls://user:password@host:587`, `smtps://` or `smtp://`; if unset, `.eml` files."),
    ] = ""
    mail_dir: Annotated[
        Path | None, doc("Folder for `.eml` files; by default `mail` in the data folder.")
    ] = None
    mail_from: Annotated[str, doc("Sender of mails.")] = "Veza <noreply@localhost>"
    rate_limit_enabled: Annotated[bool, doc("Whether rate limits apply.")] = True
    rate_limit_global: Annotated[
        str, doc("Requests from one address, but for bytes of sound and pictures.")
    ] = "100/min"
    rate_limit_login: Annotated[str, doc("Logins and registrations from one address, each.")] = "5/min"
    rate_limit_verification: Annotated[
        str, doc("Verification mails to one address, as many of registrations and for new passwords.")
    ] = "3/hour"
    rate_limit_upload: Annotated[str, doc("Uploads of one user.")] = "10/hour"
    rate_limit_chunk: Annotated[str, doc("Chunks of one user's uploads.")] = "6000/min"
    rate_limit_analytics: Annotated[str, doc("Requests of one user that tell of events.")] = "600/min"
    rate_limit_analytics_bytes: Annotated[
        str, doc("Bytes that the events of one user take, each a hundred more than its name and payload.")
    ] = "4000000/day"
    rate_limit_comment: Annotated[str, doc("Comments of one user.")] = "10/min"
    rate_limit_export: Annotated[str, doc("Exports of all their data that one user asks for.")] = "5/hour"
    rate_limit_webhook_test: Annotated[str, doc("Test events of one user's webhooks.")] = "10/min"
    rate_limit_chat: Annotated[str, doc("Messages of one user, in all rooms.")] = "30/10s"
    trusted_proxies: Annotated[
        str, doc("Addresses or CIDR ranges, with commas, whose X-Forwarded-For is believed.")
    ] = ""
    cors_origins: Annotated[str, doc("Origins, with commas, whose pages may call the API; `*` for all.")] = ""
    require_verified_email: Annotated[
        bool, doc("Whether uploading and selling need a verified e-mail address.")
    ] = False
    payment_provider: Annotated[
        str,
        doc("Who sees to payments: `stripe`, or `instant`, which completes every order and takes no money."),
    ] = "instant"
    stripe_secret_key: Annotated[
        str, doc("Stripe's key, `sk_…` or a restricted `rk_…`; see docs/payments.md.")
    ] = ""
    stripe_webhook_secrets: Annotated[
        str, doc("The `whsec_…` of each webhook endpoint at Stripe, with commas; while rolled, the old too.")
    ] = ""
    stripe_api_url: Annotated[str, doc("Where Stripe's API is, if not at Stripe: for tests.")] = ""
    payment_return_url: Annotated[
        str,
        doc("Where the payment provider's pages lead back to; by default to a page that thanks."),
    ] = ""
    platform_fee: Annotated[
        int, doc("The platform's share of each sale, in hundredths of a percent: 1000 is a tenth.")
    ] = 0
    presigned_downloads: Annotated[
        bool, doc("Whether buyers download from an `s3://` bucket itself, which they must be able to reach.")
    ] = True
    accept_days: Annotated[
        int, doc("Days after which a delivered service counts as accepted, if its buyer says nothing.")
    ] = 14
    deliver_days: Annotated[
        int, doc("Days after which a buyer may give back a service that was not delivered, or not revised.")
    ] = 30
    payout_minimum: Annotated[
        int, doc("The least that a seller is paid out at a time, in minor units: 1000 is ten euros.")
    ] = 1_000
    max_file_size: Annotated[int, doc("Largest audio file, in bytes.")] = 500 * 1024**2
    quota: Annotated[int, doc("Bytes a user may store.")] = 1024**3
    webhook_allow_private: Annotated[
        bool, doc("Whether webhooks may lead into private networks, and to this very machine.")
    ] = False
    clamd_url: Annotated[
        str,
        doc("ClamAV's `tcp://host:3310` or `unix:///path`, to scan uploads for malware; if unset, none is."),
    ] = ""
    geoip_database: Annotated[
        Path | None,
        doc("A `.mmdb` file of countries (DB-IP Lite, GeoLite2), to tell which plays come from."),
    ] = None
    serve_jobs: Annotated[
        bool, doc("Whether `veza serve` does the work behind the API too; if not, run `veza worker`.")
    ] = True
    worker_port: Annotated[
        int | None,
        doc("Port at which `veza worker` answers `/healthz`, `/readyz` and `/metrics`; if unset, none does."),
    ] = None
    media_jobs: Annotated[int, doc("Audio files processed at a time by one process.")] = 1
    audit_retention_days: Annotated[
        int, doc("Days for which the audit log is kept; 0 keeps it for ever.")
    ] = 365
    suspicious_password_guessing: Annotated[
        str, doc("Failed logins to one account that look like an attack.")
    ] = "10/15min"  # noqa: S105 - a rate
    suspicious_account_guessing: Annotated[
        str, doc("Failed logins to different accounts from one address that look like an attack.")
    ] = "15/hour"
    suspicious_many_addresses: Annotated[
        str, doc("Addresses from which one account is signed in to that look like an attack.")
    ] = "8/hour"
    suspicious_mass_downloads: Annotated[
        str, doc("Downloads by one user, or of guests from one address that look like an attack.")
    ] = "300/hour"
    suspicious_mass_deletions: Annotated[
        str, doc("Things that one user deletes that look like an attack.")
    ] = "150/hour"
    suspicious_upload_burst: Annotated[str, doc("Files that one user uploads that look like an attack.")] = (
        "50/hour"
    )
    suspicious_webhook_probing: Annotated[
        str, doc("Deliveries to private addresses by one user's webhooks that look like an attack.")
    ] = "3/day"
    otlp_url: Annotated[
        str,
        doc("Where traces are sent, as OTLP over HTTP: `http://127.0.0.1:4318`; if unset, none are made."),
    ] = ""
    trace_percent: Annotated[
        int, doc("How many of a hundred traces are made that begin here; the others cost next to nothing.")
    ] = 100
    log_format: Annotated[str, doc("`json`, `console`, or `auto`: console on a terminal.")] = "auto"
    log_level: Annotated[str, doc("`debug`, `info`, `warning` or `error`.")] = "info"
    access_log: Annotated[bool, doc("Whether each request is logged.")] = True

    s3: Annotated[Mapping[str, str], doc("For `s3://`; the environment's alone.")] = {}

    @property
    def base_url(self) -> str:
        """The public URL, without a slash at its end."""
        return (self.public_url or address_of(self.host, self.port)).rstrip("/")

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may call the API."""
        return frozenset(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """What Stripe's notices are signed with."""
        return tuple(part.strip() for part in self.stripe_webhook_secrets.split(",") if part.strip())

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of this process."""
        return self.database.startswith("sqlite")

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'veza.db'}"

    @property
    def storage(self) -> str:
        """The storage's URL."""
        return self.storage_url or f"file://{self.data_dir.absolute() / 'files'}"

    @property
    def suspicions(self) -> Mapping[str, str]:
        """For each kind of suspicion that can be chosen, how many signs are too many."""
        return {name: getattr(self, f"suspicious_{name}") for name in _SUSPICIONS}

    @property
    def mail_folder(self) -> Path:
        """Where `.eml` files go."""
        return self.mail_dir or self.data_dir / "mail"


def address_of(host: str, port: int) -> str:
    """The URL under which this machine reaches a server that listens there."""
    here = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


_CHOICES = {
    "log_format": ("auto", "json", "console"),
    "log_level": ("debug", "info", "warning", "error"),
    "payment_provider": NAMES,
}
_SUSPICIONS = (
    "password_guessing",
    "account_guessing",
    "many_addresses",
    "mass_downloads",
    "mass_deletions",
    "upload_burst",
    "webhook_probing",
)
_LIMITS = tuple(
    name
    for name in Settings.__struct_fields__
    if name.startswith(("rate_limit_", "suspicious_")) and name != "rate_limit_enabled"
)
_LEAST = {"max_file_size": 1, "quota": 1, "media_jobs": 1, "payout_minimum": 1, "audit_retention_days": 0}
_BETWEEN = {
    "platform_fee": (0, BASIS_POINTS),
    "accept_days": (1, 366),
    "deliver_days": (1, 366),
    "trace_percent": (0, 100),
}
# May hold a password.
_URLS = ("smtp_url", "redis_url", "database_url", "database_read_url")
_SECRET = {"stripe_secret_key", "stripe_webhook_secrets", "secret_key", *_URLS}
_TRUTHS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)
_MOST_PORT = 65_535
_STRIPE_KEY = re.compile(r"[sr]k_(?:test|live)_\w+")
_STRIPE_SECRET = re.compile(r"whsec_[\w+/=-]+")


def load(environment: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """The settings: the file's, overruled by the environment's; an empty variable counts as unset.

    Raises :class:`BadSetting` with one clear line.
    """
    environment = os.environ if environment is None else environment
    given = _read_file(file or Path(environment.get("VEZA_CONFIG") or "veza.toml"), environment)
    for name, value in environment.items():
        if name.startswith("VEZA_") and name != "VEZA_CONFIG" and value:
            given[name.removeprefix("VEZA_").lower()] = value
    return _build(given, {name: value for name, value in environment.items() if name.startswith("AWS_")})


def supervisor_address() -> str:
    """Where a supervisor waits to be told of a process that it is ready, or empty: see sd_notify(3)."""
    return os.environ.get("NOTIFY_SOCKET", "")


def _read_file(file: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        if environment.get("VEZA_CONFIG"):
            raise BadSetting(f"VEZA_CONFIG: there is no file {file}.") from None
        return {}
    except (OSError, ValueError) as error:
        raise BadSetting(f"{file}: {error}") from None


def _build(given: Mapping[str, Any], s3: Mapping[str, str]) -> Settings:
    kinds = get_type_hints(Settings, include_extras=True)
    values: dict[str, Any] = {"s3": s3}
    for name, value in given.items():
        shown = f"VEZA_{name.upper()}"
        if name not in kinds or name == "s3":
            raise BadSetting(f"{shown} is not a setting of Veza.")
        try:
            values[name] = _convert(value, _plain(kinds[name]))
        except ValueError:
            said = shown if name in _SECRET else f"{shown}={value!r}"
            raise BadSetting(f"{said} is not {_WANTED[_plain(kinds[name])]}.") from None
    settings = Settings(**values)
    _check(settings)
    return settings


def _plain(kind: Any) -> Any:
    """The class behind ``Annotated[Path | None, ...]``."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return next((part for part in get_args(kind) if part is not type(None)), kind)


_WANTED = {bool: "true or false", int: "a whole number", Path: "a path", str: "a text"}


def _convert(value: Any, plain: Any) -> Any:
    if plain is bool and isinstance(value, str):
        if value.lower() not in _TRUTHS:
            raise ValueError(value)
        return _TRUTHS[value.lower()]
    if plain is int and isinstance(value, str):
        return int(value)
    if plain is Path and isinstance(value, str):
        return Path(value).expanduser()
    if not isinstance(value, plain) or (plain is int and isinstance(value, bool)):
        raise ValueError(value)
    return value


def _check(settings: Settings) -> None:
    for name, choices in _CHOICES.items():
        if getattr(settings, name) not in choices:
            raise BadSetting(f"VEZA_{name.upper()} must be one of: {', '.join(choices)}.")
    for name in _LIMITS:
        try:
            parse_limit(name, getattr(settings, name))
        except ValueError:
            raise BadSetting(f"VEZA_{name.upper()} must look like 100/min, 5/hour or 10/day.") from None
    _check_numbers(settings)
    try:
        parse_networks(settings.trusted_proxies)
    except ValueError as error:
        raise BadSetting(f"VEZA_TRUSTED_PROXIES: {error}.") from None
    for name in ("port", "worker_port"):
        if not 0 <= (getattr(settings, name) or 0) <= _MOST_PORT:
            raise BadSetting(f"VEZA_{name.upper()} must be between 0 and {_MOST_PORT}.")
    for name in _URLS:
        if said := mistake(getattr(settings, name)):
            raise BadSetting(f"VEZA_{name.upper()} {said}")
    _check_addresses(settings)
    _check_stripe(settings)


def _check_stripe(settings: Settings) -> None:
    key, secrets = settings.stripe_secret_key, settings.webhook_secrets
    if key and not _STRIPE_KEY.fullmatch(key):
        raise BadSetting("VEZA_STRIPE_SECRET_KEY must look like sk_test_… or rk_live_….")
    if not all(_STRIPE_SECRET.fullmatch(one) for one in secrets):
        raise BadSetting("VEZA_STRIPE_WEBHOOK_SECRETS must look like whsec_…,whsec_….")
    for name in ("stripe_api_url", "payment_return_url"):
        url = getattr(settings, name)
        if url and not url.lower().startswith(("http://", "https://")):
            raise BadSetting(f"VEZA_{name.upper()} must begin with http:// or https://.")
    if settings.payment_provider == "stripe":
        public = settings.public_url
        given = {"STRIPE_SECRET_KEY": key, "STRIPE_WEBHOOK_SECRETS": secrets, "PUBLIC_URL": public}
        missing = [f"VEZA_{name}" for name, value in given.items() if not value]
        if missing:
            raise BadSetting(f"VEZA_PAYMENT_PROVIDER=stripe needs {' and '.join(missing)} as well.")


def _check_numbers(settings: Settings) -> None:
    for name, least in _LEAST.items():
        if getattr(settings, name) < least:
            raise BadSetting(f"VEZA_{name.upper()} must be {least} or more.")
    for name, (least, most) in _BETWEEN.items():
        if not least <= getattr(settings, name) <= most:
            raise BadSetting(f"VEZA_{name.upper()} must be between {least} and {most}.")


def _check_addresses(settings: Settings) -> None:
    _check_database(settings)
    if not settings.storage.startswith(("file:///", "s3://")):
        raise BadSetting("VEZA_STORAGE_URL must begin with file:/// or s3://.")
    if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise BadSetting("VEZA_REDIS_URL must begin with redis://, rediss:// or unix://.")
    if settings.public_url and not is_origin(settings.public_url.rstrip("/")):
        raise BadSetting("VEZA_PUBLIC_URL must look like https://music.example.com.")
    if settings.otlp_url and not is_base(settings.otlp_url):
        raise BadSetting("VEZA_OTLP_URL must look like http://127.0.0.1:4318, without a password or a query.")
    for origin in settings.origins - {"*"}:
        if not is_page_origin(origin):
            raise BadSetting("VEZA_CORS_ORIGINS must look like https://a.example,https://b.example, or be *.")
    if not settings.serve_jobs and settings.embedded:
        raise BadSetting("VEZA_SERVE_JOBS=false needs PostgreSQL: with SQLite nobody else can do the work.")


def _check_database(settings: Settings) -> None:
    if not settings.database.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise BadSetting("VEZA_DATABASE_URL must begin with sqlite:/// or postgresql://.")
    if settings.embedded and not Path(settings.database.removeprefix("sqlite:///")).name:
        raise BadSetting("VEZA_DATABASE_URL must name a file, as in sqlite:////srv/veza.db.")
    copy = settings.database_read_url
    if copy and not copy.startswith(("postgresql://", "postgres://")):
        raise BadSetting("VEZA_DATABASE_READ_URL must begin with postgresql://.")
    if copy and settings.embedded:
        raise BadSetting("VEZA_DATABASE_READ_URL needs PostgreSQL in VEZA_DATABASE_URL as well.")
