"""The whole examination: every look, side by side, in the order in which they are told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain

from veza import __version__
from veza.doctor.addresses import look_at_proxies, look_at_public_url
from veza.doctor.database import look_at_database
from veza.doctor.findings import Finding, Report, ok, why, wrong
from veza.doctor.installation import look_at_installation
from veza.doctor.machine import look_at_folder, look_at_limits, look_at_server
from veza.doctor.media import look_at_ffmpeg, look_at_pictures, look_at_sandbox
from veza.doctor.money import look_at_payments
from veza.doctor.replica import look_at_copy
from veza.doctor.secret import look_at_secret
from veza.doctor.services import (
    look_at_collector,
    look_at_mail,
    look_at_places,
    look_at_scanner,
    look_at_storage,
    look_at_valkey,
)
from veza.settings import BadSetting, Settings

Look = Callable[[Settings], Awaitable[Sequence[Finding]]]

LOOKS: dict[str, Look] = {
    "data folder": look_at_folder,
    "secret key": look_at_secret,
    "open files": look_at_limits,
    "server": look_at_server,
    "database": look_at_database,
    "read copy": look_at_copy,
    "storage": look_at_storage,
    "installation": look_at_installation,
    "Valkey": look_at_valkey,
    "mail": look_at_mail,
    "malware scanner": look_at_scanner,
    "countries": look_at_places,
    "traces": look_at_collector,
    "ffmpeg": look_at_ffmpeg,
    "pictures": look_at_pictures,
    "sandbox": look_at_sandbox,
    "public URL": look_at_public_url,
    "trusted proxies": look_at_proxies,
    "payments": look_at_payments,
}
_PATIENCE = 30.0  # seconds


async def examine(load: Callable[[], Settings]) -> Report:
    """Look at everything that these settings ask for; where they make no sense, at nothing else."""
    try:
        settings = load()
    except BadSetting as refused:
        advice = "The README lists every setting; the environment wins over veza.toml."
        return _report([wrong("settings", str(refused), "Veza does not start.", advice)])
    looked = await asyncio.gather(*(_look(about, look, settings) for about, look in LOOKS.items()))
    return _report([ok("settings", "They make sense."), *chain.from_iterable(looked)])


async def _look(about: str, look: Look, settings: Settings) -> Sequence[Finding]:
    """One thing; that it could not be looked at is a finding, too, and keeps nobody from the others."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await look(settings)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is what we are here for
        return [
            wrong(
                about,
                f"It could not be looked at: {why(error)}.",
                "Veza may not start, or not work.",
                "Go by what the error says; with VEZA_LOG_LEVEL=debug `veza serve` says more.",
            )
        ]


def _report(findings: Iterable[Finding]) -> Report:
    all_of_them = list(findings)
    return Report(__version__, all(one.level != "wrong" for one in all_of_them), all_of_them)
