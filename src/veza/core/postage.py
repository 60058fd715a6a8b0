"""How much mail an address gets that nobody there has asked for.

Anybody can register with a stranger's address, and then do at will what its owner is to hear of. So an
address that nobody has confirmed is written to three times an hour about its account, and three times about
anything else. For a confirmed one each kind counts by itself: whoever causes much of one kind keeps no word
of another from its owner.
"""

from veza.core.jobs import Job
from veza.core.limits import Limit, Limiter
from veza.core.text import email_key

_UNCONFIRMED = Limit("mail_unconfirmed", 3, 3600)
_OF_A_KIND = Limit("mail_of_a_kind", 5, 3600)


class Postage:
    """Counts the mails of jobs, each job once however often it is tried, before they are sent."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def covers(self, job: Job, to: str, *, confirmed: bool, kind: str | None = None) -> bool:
        """Whether the mail of this job may go; of no ``kind``, one to a confirmed address always may.

        What may not is not sent later either: by then its reader knows from the mails before.
        """
        if job.attempt > 1:
            return True  # it was let through when it was tried first, and the server was away
        if not confirmed:
            what = "told" if kind is None else "warned"
            return (await self._limiter.hit(_UNCONFIRMED, f"{what} {email_key(to)}")).allowed
        if kind is None:
            return True
        return (await self._limiter.hit(_OF_A_KIND, f"{kind} {email_key(to)}")).allowed
