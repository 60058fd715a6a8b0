"""Addresses: how people reach the server, and whose word about theirs is believed."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from veza.core.exchange import parse_networks
from veza.doctor.findings import Finding, ok, warning, wrong
from veza.settings import Settings

_EVERYBODY = 8  # a range as wide as this, in bits, is no proxy's


async def look_at_public_url(settings: Settings) -> Sequence[Finding]:
    """Whether links in mails, and signed addresses, lead anywhere, and not in the clear."""
    about, url = "public URL", urlsplit(settings.base_url)
    if _is_this_machine(url.hostname or ""):
        return [
            warning(
                about,
                f"{settings.base_url} is this very machine.",
                "Links in mails, and addresses of downloads, lead nowhere for anybody else.",
                "Set VEZA_PUBLIC_URL to what people type, such as https://music.example.com.",
            )
        ]
    if url.scheme != "https":
        return [
            warning(
                about,
                f"{settings.base_url} is not encrypted.",
                "Passwords and tokens can be read on the way.",
                "Put a proxy that speaks TLS in front (deploy/nginx, deploy/caddy), and say https://… here.",
            )
        ]
    return [ok(about, f"{settings.base_url} is encrypted.")]


async def look_at_proxies(settings: Settings) -> Sequence[Finding]:
    """G16: whether people's own addresses are counted, and nobody can choose theirs."""
    about, networks = "trusted proxies", parse_networks(settings.trusted_proxies)
    if any(network.prefixlen < _EVERYBODY for network in networks):
        return [
            wrong(
                about,
                f"VEZA_TRUSTED_PROXIES={settings.trusted_proxies} believes almost everybody.",
                "Anybody can say to have any address: limits and the audit log are worth nothing.",
                "Name the proxy's own address.",
            )
        ]
    if not networks and settings.base_url.startswith("https://"):
        return [
            warning(
                about,
                "The public URL is that of a proxy, and VEZA_TRUSTED_PROXIES is not set.",
                "All people count as one, the proxy: together they soon have too many requests.",
                "Set it to the address that the proxy connects from, such as 127.0.0.1.",
            )
        ]
    return [ok(about, f"{settings.trusted_proxies} may say who asks." if networks else "Nobody is believed.")]


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
