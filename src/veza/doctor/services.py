"""What Veza works with besides its database: files, Valkey, mail, scanner, countries, traces."""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from veza.core.errors import InsufficientStorage, Unavailable
from veza.core.mail import MailDelayed, SmtpMailer
from veza.core.malware import open_scanner
from veza.core.places import open_places
from veza.core.storage import open_storage
from veza.core.tracing_open import can_trace
from veza.core.valkey import Valkey
from veza.doctor.findings import Finding, ok, warning, where, why, wrong
from veza.settings import Settings

_ASKED = 5
_SLOW = 0.02  # seconds
_COLLECTOR_SECONDS = 3.0
_LOOPBACK_SENDER = ("@localhost", "@localhost>")


async def look_at_storage(settings: Settings) -> Sequence[Finding]:
    """Whether a small file can be stored, read back and removed."""
    about, place = "storage", where(settings.storage)
    local = settings.storage.startswith("file:")
    if local and not await asyncio.to_thread(Path(place).exists):
        return [ok(about, f"{place} is not there yet; the first start makes it.")]
    with tempfile.TemporaryDirectory() as scratch:
        storage = open_storage(settings.storage, scratch=Path(scratch), s3=settings.s3)
        began = perf_counter()
        try:
            await storage.check()
        except InsufficientStorage:
            return [wrong(about, f"{place} is full.", "Uploads are answered with 507.", "Make room there.")]
        except Unavailable as error:
            advice = (
                "Mend the rights of that folder."
                if local
                else "Look at bucket, AWS_ENDPOINT_URL, region and keys."
            )
            return [
                wrong(
                    about,
                    f"{place} does not take, give back or remove a file: {why(error)}.",
                    "Nobody can upload or listen; /readyz says that the storage is unavailable.",
                    advice,
                )
            ]
        finally:
            await storage.close()
    return [ok(about, f"{place} takes, gives back and removes a file ({_ms(perf_counter() - began)}).")]


async def look_at_valkey(settings: Settings) -> Sequence[Finding]:
    """Whether it answers, and how quickly: every request waits for it."""
    about, place = "Valkey", where(settings.redis_url)
    if not settings.redis_url:
        if settings.embedded:
            return [ok(about, "None is needed: one process serves.")]
        return [
            warning(
                about,
                "VEZA_REDIS_URL is not set.",
                "Each process counts limits by itself, and news from another one comes seconds later.",
                "Set it where more than one process serves.",
            )
        ]
    store, took = Valkey(settings.redis_url), list[float]()
    try:
        for _ in range(_ASKED):
            began = perf_counter()
            await store.call("return {1}", "veza:doctor")
            took.append(perf_counter() - began)
    except Unavailable as error:
        return [
            wrong(
                about,
                f"{place} does not answer: {why(error)}.",
                "Nobody can sign in. Other limits count in each process alone, and news comes late.",
                "Is it running, and are address and password of VEZA_REDIS_URL right?",
            )
        ]
    finally:
        await store.close()
    middle = statistics.median(took)
    if middle > _SLOW:
        return [
            warning(
                about,
                f"{place} takes {_ms(middle)} to answer.",
                "Each request waits so long for its limit to be counted.",
                "Put it beside the servers.",
            )
        ]
    return [ok(about, f"{place} answers in {_ms(middle)}.")]


async def look_at_mail(settings: Settings) -> Sequence[Finding]:
    """Whether the mail server takes us; nothing is sent."""
    about = "mail"
    if not settings.smtp_url:
        return [
            warning(
                about,
                f"No mail is sent: each is a file in {settings.mail_folder.absolute()}.",
                "Nobody can confirm an address or set a new password by themselves.",
                "Set VEZA_SMTP_URL and VEZA_MAIL_FROM.",
            )
        ]
    place = where(settings.smtp_url)
    try:
        await SmtpMailer(settings.smtp_url, settings.mail_from).check()
    except MailDelayed as delayed:
        return [
            wrong(
                about,
                f"{place} does not let us in: {delayed}.",
                "Mails wait as jobs, and are given up after about eight hours.",
                "Look at address, port, user and password of VEZA_SMTP_URL.",
            )
        ]
    if settings.mail_from.endswith(_LOOPBACK_SENDER):
        return [
            warning(
                about,
                f"{place} answers, and mails are sent by {settings.mail_from}.",
                "Most servers refuse a sender that nobody can answer.",
                "Set VEZA_MAIL_FROM to an address of your domain.",
            )
        ]
    return [ok(about, f"{place} answers.")]


async def look_at_scanner(settings: Settings) -> Sequence[Finding]:
    """Whether clamd scans an empty file, where one is set."""
    if not settings.clamd_url:
        return []
    about, place = "malware scanner", where(settings.clamd_url)
    with tempfile.NamedTemporaryFile() as empty:
        try:
            await open_scanner(settings.clamd_url).check(Path(empty.name))
        except Unavailable as error:
            return [
                wrong(
                    about,
                    f"{place} does not answer: {why(error)}.",
                    "Every upload is refused with 503.",
                    "Start clamd, or unset VEZA_CLAMD_URL.",
                )
            ]
    return [ok(about, f"{place} scans.")]


async def look_at_places(settings: Settings) -> Sequence[Finding]:
    """Whether the database of countries can be read, where one is set."""
    if settings.geoip_database is None:
        return []
    try:
        await asyncio.to_thread(open_places, settings.geoip_database)
    except ValueError as error:
        return [
            wrong(
                "countries",
                str(error),
                "Veza does not start.",
                "Fetch it anew, or unset VEZA_GEOIP_DATABASE.",
            )
        ]
    return [ok("countries", f"{settings.geoip_database} can be read.")]


async def look_at_collector(settings: Settings) -> Sequence[Finding]:
    """Whether the collector of traces takes none at all, where one is set."""
    if not settings.otlp_url:
        return []
    about, place = "traces", where(settings.otlp_url)
    if not can_trace():
        advice = "Install it as docs/operations.md says, or unset VEZA_OTLP_URL."
        return [wrong(about, "The extra `tracing` is not installed.", "Veza does not start.", advice)]
    from veza.core.tracing_otel import ask_collector  # noqa: PLC0415 - who sends none does without it

    refused = await asyncio.to_thread(ask_collector, settings.otlp_url, _COLLECTOR_SECONDS)
    if refused is None:
        return [ok(about, f"{place} takes them.")]
    return [
        wrong(
            about,
            f"{place} does not take them: {refused}",
            "Traces are lost; nothing else is, and nobody waits.",
            "Start the collector, and look at VEZA_OTLP_URL and OTEL_EXPORTER_OTLP_HEADERS.",
        )
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
