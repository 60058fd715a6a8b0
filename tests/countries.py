"""A small database of countries, as operators put one there."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

PLACES = {
    "81.2.69.0/24": {"country": {"iso_code": "GB"}},
    "2001:218::/32": {"country": {"iso_code": "JP"}},
    "89.160.20.0/24": {"continent": {"code": "EU"}},
    "89.160.21.0/24": {"country": {"iso_code": "sweden"}},
    "89.160.22.0/24": {"country": "SE"},
}


def write_countries(file: Path, kind: str = "DBIP-Country-Lite") -> Path:
    """Such a file at this path."""
    writer = MMDBWriter(6, kind, languages=["en"], description="countries", ipv4_compatible=True)
    for network, told in PLACES.items():
        writer.insert_network(IPSet([network]), told)
    writer.to_db_file(str(file))
    return file
