from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest

from veza.access.totp import (
    matched_step,
    new_recovery_codes,
    new_totp_secret,
    provisioning_uri,
    recovery_digest,
)
from veza.core import clock


@pytest.fixture
def at_mid_step():
    """The middle of a 30-second step, so that no test straddles two."""
    now = clock.now().timestamp()
    with clock.shifted(timedelta(seconds=15 - now % 30)):
        yield


def code_of(secret, *, steps_away=0):
    return pyotp.TOTP(secret).at(clock.now(), counter_offset=steps_away)


def test_the_app_and_the_server_agree_on_the_published_values():
    """A11: RFC 6238, appendix B, cut to six digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")]:
        with clock.shifted(datetime.fromtimestamp(seconds, UTC) - datetime.now(UTC)):
            assert matched_step(secret, code, None) == seconds // 30


@pytest.mark.usefixtures("at_mid_step")
def test_a_code_works_once():
    """A11: a code, once used, is dead, and so is every earlier one."""
    secret = new_totp_secret()
    step = matched_step(secret, code_of(secret), None)
    assert step is not None
    assert matched_step(secret, code_of(secret), step) is None
    assert matched_step(secret, code_of(secret, steps_away=-1), step) is None
    assert matched_step(secret, code_of(secret, steps_away=1), step) == step + 1


@pytest.mark.usefixtures("at_mid_step")
@pytest.mark.parametrize(("steps_away", "valid"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_either_way(steps_away, valid):
    """A11: a clock may be off by one step and no more."""
    secret = new_totp_secret()
    assert (matched_step(secret, code_of(secret, steps_away=steps_away), None) is not None) == valid


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345", "12345\n", "9" * 100_000]
)
def test_what_is_no_code_is_refused(code):
    """A11, G8: anything but six ASCII digits is simply wrong."""
    assert matched_step(new_totp_secret(), code, None) is None


@pytest.mark.usefixtures("at_mid_step")
def test_spaces_as_apps_show_them():
    secret = new_totp_secret()
    code = code_of(secret)
    assert matched_step(secret, f"{code[:3]} {code[3:]}", None) is not None


def test_the_uri_names_the_account():
    secret = new_totp_secret()
    uri = urlsplit(provisioning_uri(secret, "jörg+x@example.com"))
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Veza:jörg+x@example.com")
    assert parse_qs(uri.query) == {"secret": [secret], "issuer": ["Veza"]}
    assert len(secret) * 5 == 160


def test_recovery_codes():
    """A11, A20: ten codes of 80 bits, kept as hashes, read as people write them."""
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) * 5 == 80 for code in codes)
    assert recovery_digest("8f3k-29xq-w7dm-0tzc") == recovery_digest(" 8F3K 29XQW7DM OTZC ")
    assert len({recovery_digest(code) for code in codes}) == 10
    assert recovery_digest("\ud800")
