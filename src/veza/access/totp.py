"""The second factor: six digits from an app, and codes on paper for the day the telephone is lost."""

import re
import secrets

import pyotp
from pyotp.exceptions import OTPVerificationError

from veza.access.secrets import digest
from veza.core import clock

ISSUER = "Veza"
RECOVERY_CODES = 10

_CODE = re.compile(r"[0-9]{6}")
# Crockford's base 32: no letter that a hurried hand mistakes for a digit.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_MISREAD = str.maketrans("oil", "011", "- ")
_GROUPS = 4


def new_totp_secret() -> str:
    """What an app and the server share: 160 random bits in base 32 (RFC 4226, 4). Seal it at rest."""
    return pyotp.random_base32(32)


def provisioning_uri(secret: str, account: str) -> str:
    """What the app reads from the QR code: ``otpauth://totp/Veza:<account>?secret=…``."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=ISSUER))


def matched_step(secret: str, code: str, last_step: int | None) -> int | None:
    """The 30-second step that this code belongs to, now or one step away; None if it is wrong or used.

    Store the step and pass it as ``last_step`` the next time, so that no code works twice (RFC 6238, 5.2).
    """
    code = code.replace(" ", "")
    if not _CODE.fullmatch(code):
        return None
    try:
        step = int(pyotp.TOTP(secret).verify_and_get_timecode(code, for_time=clock.now(), valid_window=1))
    except OTPVerificationError:
        return None
    return step if last_step is None or step > last_step else None


def new_recovery_codes() -> list[str]:
    """Ten codes of 80 bits, like ``8f3k-29xq-w7dm-0tzc``; shown once, stored as ``recovery_digest``."""
    return ["-".join(_group() for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str) -> bytes:
    """What the database keeps of a recovery code; the same for any case, dashes, or an O for a zero."""
    return digest(code.strip().lower().translate(_MISREAD))


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))
