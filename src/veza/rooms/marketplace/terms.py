"""The operator's terms for sellers and buyers."""

from datetime import timedelta
from typing import Annotated

import msgspec
from litestar.params import Dependency


class Terms(msgspec.Struct, frozen=True):
    """After how long what was delivered counts as accepted, and what was not can be given back by its buyer.

    The least that is paid out is in minor units.
    """

    accepted_after: timedelta
    delivered_within: timedelta
    least_payout: int


TheTerms = Annotated[Terms, Dependency(skip_validation=True)]
