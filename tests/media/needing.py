"""What a test does where the kernel lacks what it is about."""

import os

import pytest

ALLOWED = "TESTS_WITHOUT_SANDBOX"


def need(there: object, what: str) -> None:
    """Skip the test on a machine that has no such layer of the sandbox.

    In CI (`CI=true`) it fails, or nobody would see that what holds decoders in is never tried; unless
    TESTS_WITHOUT_SANDBOX says that this machine is known to lack it.
    """
    if there:
        return
    if os.environ.get("CI", "false") in {"", "false"} or os.environ.get(ALLOWED):
        pytest.skip(f"no {what} here")
    pytest.fail(f"no {what} here, and so decoders are not known to be held in; {ALLOWED}=1 lets it pass")
