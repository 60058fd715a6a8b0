"""Stripe behind the port, through its own library.

One mode serves every order: the platform takes the whole payment on Stripe's hosted page (Checkout), and
hands each seller their share (separate charges and transfers). Imported only where the settings ask for it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import msgspec
import stripe
import structlog

from veza.rooms.marketplace.errors import AmountRefused, PaymentUnavailable, SignatureRefused
from veza.rooms.marketplace.payments import (
    Begun,
    Handover,
    Made,
    Notice,
    Outcome,
    Payment,
    ProviderRefused,
    RefundWaits,
    StripeConfig,
)
from veza.rooms.marketplace.stripe_words import (
    KEY,
    KINDS,
    ORDER,
    Disputed,
    EventBody,
    Refunded,
    Session,
    notice_of,
    order_of,
    outcome_of,
)

T = TypeVar("T")
log = structlog.get_logger()

# How long an order can be paid; Stripe allows half an hour to a day.
PAY_WITHIN = timedelta(hours=2)
# Seconds that a signature is good for.
TOLERANCE = 300
_TIMEOUT = 10.0
_RETRIES = 2
_MOST_MISSED = 1_000
# Why there may be less to refund than was asked for.
_GONE_BACK = {"charge_already_refunded", "charge_disputed"}
# Why an order cannot be paid for, whoever pays.
_AMOUNTS = {"amount_too_small", "amount_too_large"}
# Where it may help to wait.
_LATER = {"Retry-After": "30"}


class Stripe:
    """Moves money by Stripe."""

    name = "stripe"
    moves_money = True

    def __init__(self, config: StripeConfig) -> None:
        self._config = config
        stripe.enable_telemetry = False
        self._http = stripe.HTTPXClient(timeout=_TIMEOUT)
        self._stripe = stripe.StripeClient(
            config.secret_key,
            base_addresses={"api": config.api_url or stripe.DEFAULT_API_BASE},
            max_network_retries=_RETRIES,
            http_client=self._http,
        ).v1

    async def begin(self, payment: Payment) -> Begun:
        """Open a page where the order is paid. Raises :class:`AmountRefused`, :class:`PaymentUnavailable`."""
        try:
            return await self._open_page(payment)
        except ProviderRefused as refused:
            if refused.code in _AMOUNTS:
                raise AmountRefused(str(refused)) from None
            raise PaymentUnavailable from None

    async def _open_page(self, payment: Payment) -> Begun:
        metadata = {ORDER: str(payment.order_id)}
        currency = payment.currency.lower()
        with _asking():
            session = await self._stripe.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "client_reference_id": str(payment.order_id),
                    "success_url": self._back(payment.order_id, "done"),
                    "cancel_url": self._back(payment.order_id, "cancelled"),
                    # From the order's own time, so that the same order asked for again is the same request.
                    "expires_at": int((_made_at(payment.order_id) + PAY_WITHIN).timestamp()),
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": currency,
                                "unit_amount": line.amount,
                                "product_data": {"name": line.title},
                            },
                        }
                        for line in payment.lines
                    ],
                    "metadata": metadata,
                    "payment_intent_data": {"metadata": metadata, "transfer_group": str(payment.order_id)},
                },
                {"idempotency_key": f"order:{payment.order_id}"},
            )
        return Begun(paid=False, reference=session.id, url=session.url)

    def _back(self, order_id: UUID, outcome: str) -> str:
        url = self._config.return_url
        return f"{url}{'&' if '?' in url else '?'}order={order_id}&outcome={outcome}"

    async def look(self, reference: str) -> Outcome:
        """What has become of a payment."""
        session = await self._session(reference)
        intent, refunds, disputes = session.payment_intent, list[Refunded](), list[Disputed]()
        if intent is None or intent.latest_charge is None:
            return outcome_of(session, refunds, disputes)
        charge = intent.latest_charge
        refunds = charge.refunds.data
        with _asking():
            if charge.refunds.has_more:
                listed = await self._stripe.refunds.list_async({"payment_intent": intent.id, "limit": 100})
                refunds = [_as(one, Refunded) async for one in listed.auto_paging_iter()]
            if charge.disputed:
                found = await self._stripe.disputes.list_async({"payment_intent": intent.id, "limit": 100})
                disputes = [_as(one, Disputed) for one in found.data]
        return outcome_of(session, refunds, disputes)

    async def _session(self, reference: str) -> Session:
        with _asking():
            found = await self._stripe.checkout.sessions.retrieve_async(
                reference, {"expand": ["payment_intent.latest_charge.refunds"]}
            )
        return _as(found, Session)

    async def withdraw(self, reference: str) -> None:
        """Expire the page. One that is over, or being paid, stays as it is."""
        if (await self._session(reference)).status == "open":
            try:
                with _asking():
                    await self._stripe.checkout.sessions.expire_async(reference)
            except ProviderRefused:
                log.info("payments.not_withdrawn", reference=reference)

    async def find_order(self, intent: str) -> UUID | None:
        """The order named in a PaymentIntent."""
        try:
            with _asking():
                found = await self._stripe.payment_intents.retrieve_async(intent)
        except ProviderRefused:
            return None
        return order_of(_as(found, _Named).metadata)

    async def refund(self, reference: str, amount: int, currency: str, key: str, refusals: int = 0) -> None:
        """Give so much back, or what is left: somebody may have used Stripe's dashboard meanwhile."""
        del currency
        before = await self.look(reference)
        if any(one.key == key for one in before.refunds):
            return  # Stripe forgets keys after a day, and what was asked for under them not
        if any(one.state == "open" for one in before.disputes):
            raise RefundWaits
        try:
            await self._refund(before.intent, amount, key, refusals)
        except ProviderRefused as refused:
            if refused.code not in _GONE_BACK and refused.about != "amount":
                raise
            now = await self.look(reference)
            left = now.amount - now.returned - sum(one.amount for one in now.disputes if one.state == "lost")
            if 0 < left < amount:
                await self._refund(now.intent, left, f"{key}:{left}", refusals)
            elif left > 0:
                raise

    async def _refund(self, intent: str, amount: int, key: str, refusals: int) -> None:
        with _asking(kept=True):
            await self._stripe.refunds.create_async(
                {"payment_intent": intent, "amount": amount, "metadata": {KEY: key}},
                {"idempotency_key": _anew(f"refund:{key}", refusals)},
            )

    async def find_handovers(self, what: Handover) -> Sequence[Made]:
        """Look for it in the order's group of transfers: Stripe forgets keys after a day."""
        with _asking():
            found = await self._stripe.transfers.list_async(
                {"transfer_group": str(what.order_id), "limit": 100}
            )
            transfers = [_as(one, _Transfer) async for one in found.auto_paging_iter()]
        return [
            Made(one.id, one.destination or what.account, one.amount)
            for one in reversed(transfers)  # Stripe names the latest first
            if (one.names[KEY] == what.key if KEY in one.names
                # An earlier version of this program named no keys.
                else (one.destination, one.amount) == (what.account, what.amount))
        ]  # fmt: skip

    async def hand_over(self, what: Handover) -> str:
        """Hand over a share of a charge, which is the seller's as soon as the charge's money is there."""
        with _asking():
            made = await self._stripe.transfers.create_async(
                {
                    "amount": what.amount,
                    "currency": what.currency.lower(),
                    "destination": what.account,
                    "source_transaction": what.charge,
                    "transfer_group": str(what.order_id),
                    "metadata": {ORDER: str(what.order_id), KEY: what.key},
                },
                {"idempotency_key": f"transfer:{what.key}"},
            )
        return made.id

    async def take_back(self, reference: str, amount: int, key: str, refusals: int = 0) -> None:
        """Reverse so much of a transfer, unless that was done: Stripe forgets keys after a day.

        Or what is left: somebody may have used Stripe's dashboard meanwhile.
        """
        with _asking():
            found = await self._stripe.transfers.reversals.list_async(reference, {"limit": 100})
            async for one in found.auto_paging_iter():
                if _as(one, _Named).names.get(KEY) == key:
                    return
        try:
            await self._reverse(reference, amount, key, _anew(f"reversal:{key}", refusals))
        except ProviderRefused:
            with _asking():
                transfer = _as(await self._stripe.transfers.retrieve_async(reference), _Transfer)
            left = transfer.amount - transfer.amount_reversed
            if 0 < left < amount:
                await self._reverse(reference, left, key, _anew(f"reversal:{key}:{left}", refusals))
            elif left > 0:
                raise

    async def _reverse(self, reference: str, amount: int, key: str, once: str) -> None:
        with _asking(kept=True):
            await self._stripe.transfers.reversals.create_async(
                reference, {"amount": amount, "metadata": {KEY: key}}, {"idempotency_key": once}
            )

    async def open_account(self, user_id: UUID, country: str | None) -> str:
        """An account with Stripe's own dashboard for sellers, whose losses and fees are the platform's."""
        params: stripe.params.AccountCreateParams = {
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "requirement_collection": "stripe",
                "stripe_dashboard": {"type": "express"},
            },
            "capabilities": {"transfers": {"requested": True}},
            "metadata": {"veza_user": str(user_id)},
        }
        if country is not None:
            params["country"] = country
        with _asking():
            key = f"account:{user_id}:{country or ''}"
            made = await self._stripe.accounts.create_async(params, {"idempotency_key": key})
        return made.id

    async def onboarding(self, account: str) -> tuple[str, datetime]:
        """A page of Stripe's; it can be opened once."""
        with _asking():
            link = await self._stripe.account_links.create_async(
                {
                    "account": account,
                    "type": "account_onboarding",
                    "return_url": self._config.return_url,
                    "refresh_url": self._config.return_url,
                }
            )
        return link.url, datetime.fromtimestamp(link.expires_at, UTC)

    async def is_ready(self, account: str) -> bool:
        """Whether transfers are active; not, where the account has left the platform."""
        try:
            with _asking():
                found = await self._stripe.accounts.retrieve_async(account)
        except ProviderRefused:
            return False
        return _as(found, _Account).capabilities.get("transfers") == "active"

    def read(self, body: bytes, signature: str) -> Notice:
        """Verify with each of our secrets, of which there are two while one is exchanged."""
        for secret in self._config.webhook_secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
                return notice_of(msgspec.json.decode(body, type=EventBody))
            except (stripe.SignatureVerificationError, UnicodeError):
                continue
            except msgspec.DecodeError:
                break
        raise SignatureRefused

    async def missed(self, since: datetime) -> Sequence[Notice]:
        """The events that Stripe could not deliver to all who were to hear of them."""
        with _asking():
            found = await self._stripe.events.list_async(
                {
                    "types": list(KINDS),
                    "delivery_success": False,
                    "created": {"gte": int(since.timestamp())},
                    "limit": 100,
                }
            )
            notices = []
            async for event in found.auto_paging_iter():
                notices.append(notice_of(_as(event, EventBody)))
                if len(notices) == _MOST_MISSED:
                    break
        return notices

    async def close(self) -> None:
        """Close the connections to Stripe."""
        await self._http.close_async()  # type: ignore[no-untyped-call]  # untyped in the library


class _Named(msgspec.Struct):
    metadata: dict[str, str] | None = None

    @property
    def names(self) -> dict[str, str]:
        return self.metadata or {}


class _Transfer(_Named, kw_only=True):
    id: str
    amount: int
    amount_reversed: int = 0
    destination: str | None = None


class _Account(msgspec.Struct):
    capabilities: dict[str, str] = {}


def _made_at(order_id: UUID) -> datetime:
    """When an id was made, as version 7 says (RFC 9562)."""
    return datetime.fromtimestamp((order_id.int >> 80) / 1000, UTC)


def _as(said: stripe.StripeObject, kind: type[T]) -> T:
    return msgspec.convert(said.to_dict(), kind)


def _anew(key: str, refusals: int) -> str:
    """A key that Stripe has refused nothing under: it would do so for a day, whatever has changed since.

    One whose answer was lost stays the same, so that it is done once.
    """
    return f"{key}:again:{refusals}" if refusals else key


@contextmanager
def _asking(*, kept: bool = False) -> Iterator[None]:
    """Say in our words what goes wrong: ``ProviderRefused``, or ``PaymentUnavailable`` to try again.

    What is asked for under a key of ours is ``kept``.
    """
    try:
        yield
    except stripe.InvalidRequestError as refused:
        log.warning("payments.refused", code=refused.code, about=refused.param, said=refused.user_message)
        said = refused.user_message or str(refused)
        raise ProviderRefused(said, refused.code or "", refused.param or "", kept=kept) from None
    except stripe.PermissionError as refused:
        log.warning("payments.refused", code=refused.code, said=refused.user_message)
        raise ProviderRefused(str(refused), refused.code or "", kept=kept) from None
    except stripe.AuthenticationError as wrong:
        log.error("payments.key_refused", said=wrong.user_message)  # noqa: TRY400 - its traceback has the request
        raise PaymentUnavailable(headers=_LATER) from None
    except stripe.StripeError as error:
        log.warning("payments.unavailable", said=error.user_message)
        raise PaymentUnavailable(headers=_LATER) from None
