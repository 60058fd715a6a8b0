"""Which country an address is in, by a database that the operator has put there; without one, nobody knows.

Source: MaxMind DB file format 2.0, in which MaxMind, DB-IP and others give such databases away. The answer is
kept and the address is not.
"""

from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maxminddb import Reader

# What databases that know countries call themselves: GeoLite2-Country, DBIP-City-Lite.
_KINDS = ("country", "city", "enterprise")
_LETTERS = 2


class Places:
    """What is known of addresses."""

    def __init__(self, reader: "Reader | None" = None) -> None:
        self._reader = reader

    def country_of(self, address: str) -> str | None:
        """The two letters of its country (ISO 3166-1); None for addresses that are in none, or unknown."""
        if self._reader is None:
            return None
        try:
            found = self._reader.get(_plain(address))
        except (
            ValueError,
            RuntimeError,
        ):  # no address, or of the other kind; a damaged place in the file
            return None
        country = found.get("country") if isinstance(found, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) and _is_code(code) else None


def open_places(file: Path | None) -> Places:
    """What this file knows; without one, nothing. Raises :class:`ValueError` with what is wrong with it.

    The file is mapped and not read: to be exchanged, it is replaced as a whole, and never written to.
    """
    if file is None:
        return Places()
    import maxminddb  # noqa: PLC0415 - for those who have such a file

    try:
        reader = maxminddb.open_database(file)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or 'it is no file'}.") from None
    except (ValueError, RuntimeError):
        raise ValueError(f"{file} is damaged, or no database in MaxMind's format (.mmdb).") from None
    kind = reader.metadata().database_type
    if not any(known in kind.lower() for known in _KINDS):
        reader.close()
        raise ValueError(f"{file} has no countries: it says that it is {kind!r}.")
    return Places(reader)


def _plain(address: str) -> str:
    """An IPv4 address as itself, where a socket of both kinds tells it as one of IPv6."""
    if not address.startswith("::ffff:"):
        return address
    try:
        return str(IPv6Address(address).ipv4_mapped or address)
    except AddressValueError:
        return address


def _is_code(text: str) -> bool:
    return len(text) == _LETTERS and text.isascii() and text.isalpha() and text.isupper()
