"""Signatures in addresses: what they open, for whom, and for how long."""

from datetime import timedelta

import pytest

from veza.access.secrets import Keyring
from veza.access.signing import SignatureInvalid, Signer, UrlExpired, expires_at
from veza.core import clock
from veza.core.ids import new_id
from veza.core.redact import redact_text

OLD, NEW = (bytes(range(start, start + 40)) for start in (0, 100))
SIX_HOURS = timedelta(hours=6)


def test_a_signature_opens_one_thing_for_one_holder_for_a_time(still: None) -> None:
    """K15: bound to thing, holder, time and method; expired is told apart only when genuine."""
    signer, holder = Signer(Keyring([OLD])), new_id()
    signature = signer.sign("track:1", holder, SIX_HOURS)
    assert signer.check("track:1", signature) == holder
    assert expires_at(signature) - clock.now() == pytest.approx(SIX_HOURS, abs=timedelta(seconds=2))
    with pytest.raises(SignatureInvalid):
        signer.check("track:2", signature)
    with clock.shifted(SIX_HOURS + timedelta(seconds=1)):
        with pytest.raises(UrlExpired):
            signer.check("track:1", signature)
        with pytest.raises(SignatureInvalid):
            signer.check("track:2", signature)


def test_no_character_can_be_changed() -> None:
    """K15: nor left out, nor spelt otherwise."""
    signer = Signer(Keyring([OLD]))
    signature = signer.sign("a", new_id(), SIX_HOURS)
    assert len(signature) == 56
    wrong = [signature[:n] + ("A" if signature[n] != "A" else "B") + signature[n + 1 :] for n in range(56)]
    wrong += [signature[:-1], signature + "A", signature + "====", " " + signature, "", "ü" * 56, "=" * 56]
    wrong += [signature.replace("-", "+").replace("_", "/") + "\n", "A" * 10_000]
    for text in wrong:
        with pytest.raises(SignatureInvalid):
            signer.check("a", text)


def test_a_new_secret_leaves_what_is_signed() -> None:
    """A14: keys overlap; a secret that is gone opens nothing."""
    before = Signer(Keyring([OLD])).sign("a", new_id(), SIX_HOURS)
    Signer(Keyring([NEW, OLD])).check("a", before)
    with pytest.raises(SignatureInvalid):
        Signer(Keyring([NEW])).check("a", before)


def test_it_is_not_written_to_a_log() -> None:
    """K15."""
    signature = Signer(Keyring([OLD])).sign("a", new_id(), SIX_HOURS)
    assert signature not in redact_text(f"GET /x/master.m3u8?lossless=true&sig={signature}&x=1")
