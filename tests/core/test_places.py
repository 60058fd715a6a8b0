"""Which country an address is in."""

from pathlib import Path

import pytest

from tests.countries import write_countries
from veza.core.places import Places, open_places


def test_the_country_of_an_address(tmp_path):
    """T15: two letters where they are known, and otherwise nothing."""
    places = open_places(write_countries(tmp_path / "countries.mmdb"))
    for address, country in (
        ("81.2.69.142", "GB"), ("::ffff:81.2.69.142", "GB"), ("2001:218::1", "JP"), ("2001:219::1", None),
        ("89.160.20.1", None), ("89.160.21.1", None), ("89.160.22.1", None), ("127.0.0.1", None),
        ("192.168.1.1", None), ("::1", None), ("fe80::1%eth0", None), ("::ffff:x", None), ("nonsense", None),
    ):  # fmt: skip
        assert places.country_of(address) == country, address
    assert Places().country_of("81.2.69.142") is None
    assert open_places(None).country_of("81.2.69.142") is None


def test_a_file_that_has_no_countries_is_refused_in_one_line(tmp_path):
    whole = write_countries(tmp_path / "whole.mmdb").read_bytes()
    half = tmp_path / "half.mmdb"
    half.write_bytes(whole[: len(whole) // 2])
    damaged = tmp_path / "damaged.mmdb"
    damaged.write_bytes(whole[:-40])
    other = write_countries(tmp_path / "other.mmdb", "GeoLite2-ASN")
    for file, said in (
        (tmp_path / "none.mmdb", "No such file"), (tmp_path, "no database"), (half, "damaged"),
        (damaged, "damaged"), (Path("/dev/null"), "damaged"), (other, "no countries.* 'GeoLite2-ASN'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said) as caught:
            open_places(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
