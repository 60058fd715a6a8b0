"""The kinds of jobs of this room."""

from datetime import timedelta
from uuid import UUID

import msgspec

from veza.core.events import EventJob
from veza.core.jobs import JobKind, NoPayload


class PayBack(msgspec.Struct, frozen=True):
    """So much, in minor units, of a payment is to be given back; the same ``key`` is one refund.

    ``refusals`` is how often that was refused.
    """

    provider: str
    reference: str
    amount: int
    currency: str
    key: str
    refusals: int = 0


class MarkTracks(msgspec.Struct, frozen=True):
    """Tracks of which it is to be said anew whether they are for sale."""

    track_ids: list[UUID]


class MakeCopy(msgspec.Struct, frozen=True):
    """Which file of what somebody bought, and as what."""

    order_id: UUID
    product_id: UUID
    position: int
    format: str

    @property
    def once(self) -> str:
        """What is the same for all who ask for it."""
        return f"copy:{self.order_id}:{self.product_id}:{self.position}:{self.format}"


# After so long it is seen whether a dispute is over; banks take weeks.
DISPUTED = timedelta(days=1)

# Providers and mail servers may be away for hours: fifty attempts, at most ten minutes apart, last for eight.
PAY_BACK = JobKind("marketplace.pay_back", PayBack, attempts=50)
SEND_RECEIPT = JobKind("marketplace.send_receipt", EventJob, lane="mail", attempts=50)
SEND_REFUND = JobKind("marketplace.send_refund", EventJob, lane="mail", attempts=50)
SEND_CANCELLED = JobKind("marketplace.send_cancelled", EventJob, lane="mail", attempts=50)
TELL_OF_SERVICE = JobKind("marketplace.tell_of_service", EventJob, lane="mail", attempts=50)
ACCEPT_DUE = JobKind("marketplace.accept_due", NoPayload, every=timedelta(hours=1))
REFUND_UNDELIVERED = JobKind("marketplace.refund_undelivered", EventJob)
MARK_TRACKS = JobKind("marketplace.mark_tracks", MarkTracks)
RELEASE_FILES = JobKind("marketplace.release_files", NoPayload, every=timedelta(hours=24))
CLOSE_USER = JobKind("marketplace.close_user", EventJob)
# In a lane before all other work on media: somebody waits for it, who has paid, and it takes seconds.
MAKE_COPY = JobKind("marketplace.make_copy", MakeCopy, lane="bought", attempts=5, outlasts=True)
SWEEP_COPIES = JobKind("marketplace.sweep_copies", NoPayload, every=timedelta(hours=24))
