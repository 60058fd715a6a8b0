"""What the operator chose about accounts."""

from typing import Annotated

import msgspec
from litestar.params import Dependency

from veza.core.limits import Limit


class AccountsConfig(msgspec.Struct, frozen=True):
    """``base_url`` is how people reach this server, without a slash at its end.

    ``verification_limit`` counts the verification mails asked for to one address; None where limits are off.
    """

    base_url: str
    verification_limit: Limit | None


TheAccounts = Annotated[AccountsConfig, Dependency(skip_validation=True)]
