"""What Stripe keeps: sessions, payments, refunds, disputes, transfers, accounts, and what happened."""

import copy
import itertools
import time
from typing import Any

from tests.stripe_fake.params import Refused

JSON = dict[str, Any]
SMALLEST = 50
HALF_AN_HOUR, DAY = 1_800, 86_400


class StripeWorld:
    """The objects, and what people do to them beside the API: paying, disputing, using the dashboard."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.objects: dict[str, JSON] = {}
        self.events: list[JSON] = []
        self.delivered: set[str] = set()
        self.poor: set[str] = set()

    def make(self, prefix: str, kind: str, **fields: Any) -> JSON:
        made = {"id": f"{prefix}_{next(self._numbers):06}", "object": kind, "created": int(time.time())}
        self.objects[made["id"]] = made | {"livemode": False} | fields
        return self.objects[made["id"]]

    def get(self, one: str, kind: str) -> JSON:
        found = self.objects.get(one)
        if found is None or found["object"] != kind:
            raise Refused(f"No such {kind}: '{one}'", 404, code="resource_missing", param="id")
        return found

    def list(self, kind: str, **wanted: Any) -> list[JSON]:
        return [
            one for one in self.objects.values()
            if one["object"] == kind and all(one.get(name) == value for name, value in wanted.items())
        ]  # fmt: skip

    def happen(self, kind: str, about: JSON, account: str | None = None) -> JSON:
        more = {} if account is None else {"account": account}
        event = {
            "id": f"evt_{next(self._numbers):06}", "object": "event", "type": kind,
            "created": int(time.time()), "api_version": "x", "livemode": False, "pending_webhooks": 1,
            "request": None, "data": {"object": copy.deepcopy(about)}, **more,
        }  # fmt: skip
        self.events.append(event)
        return event

    # What the API is asked for.

    def open_session(self, params: JSON) -> JSON:
        if params.get("mode") != "payment":
            raise Refused("You must provide one of: mode, …", param="mode")
        items = params.get("line_items") or []
        if not items or "success_url" not in params:
            raise Refused("Missing required param: line_items or success_url.", code="parameter_missing")
        total, currencies = 0, set()
        for item in items:
            price = item["price_data"]
            if "unit_amount" not in price or not price.get("product_data", {}).get("name"):
                raise Refused("You must specify an amount and a product with a name.", param="line_items")
            total += price["unit_amount"] * item["quantity"]
            currencies.add(price["currency"])
        if len(currencies) > 1 or not all(len(one) == 3 and one.islower() for one in currencies):
            raise Refused("All line items must have one currency, in lowercase.", param="line_items")
        if total < SMALLEST:
            raise Refused("The total amount must convert to at least 50 cents.", code="amount_too_small")
        ahead = params.get("expires_at", time.time() + DAY) - time.time()
        if not HALF_AN_HOUR <= ahead <= DAY + 1:
            raise Refused("`expires_at` must be 30 minutes to 24 hours ahead.", param="expires_at")
        kept = params.get("payment_intent_data", {})
        session = self.make(
            "cs_test", "checkout.session", status="open", payment_status="unpaid", amount_total=total,
            currency=currencies.pop(), client_reference_id=params.get("client_reference_id"),
            metadata=params.get("metadata", {}), payment_intent=None, mode="payment",
        )  # fmt: skip
        session["url"] = f"https://checkout.stripe.example/c/{session['id']}"
        session["_intent"] = kept
        return session

    def expire_session(self, one: str) -> JSON:
        session = self.get(one, "checkout.session")
        if session["status"] != "open":
            raise Refused("Only Checkout Sessions with a status in [open] can be expired.")
        session |= {"status": "expired", "url": None}
        self.happen("checkout.session.expired", session)
        return session

    def refund(self, params: JSON) -> JSON:
        intent = self.get(params.get("payment_intent", ""), "payment_intent")
        charge = self.get(intent["latest_charge"] or "", "charge")
        if charge["disputed"] and any(
            one["status"] != "won" for one in self.list("dispute", charge=charge["id"])
        ):
            raise Refused("This charge has been charged back.", code="charge_disputed")
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise Refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        amount = params.get("amount", left)
        if amount <= 0 or amount > left:
            raise Refused("Refund amount is greater than unrefunded amount on charge", param="amount")
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        made = self.make(
            "re", "refund", amount=amount, charge=charge["id"], payment_intent=intent["id"],
            currency=charge["currency"], status="succeeded", metadata=params.get("metadata", {}),
        )  # fmt: skip
        self.happen("charge.refunded", charge)
        return made

    def fail(self, refund_id: str, *, counted: bool = False) -> None:
        """The buyer's bank sends a refund back; the charge may still count it (``counted``)."""
        refund = self.get(refund_id, "refund")
        refund |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
        charge = self.get(refund["charge"], "charge")
        if not counted:
            charge |= {"amount_refunded": charge["amount_refunded"] - refund["amount"], "refunded": False}
        self.happen("charge.refund.updated", refund)
        self.happen("refund.failed", refund)

    def transfer(self, params: JSON) -> JSON:
        account = self.get(params["destination"], "account")
        if account["capabilities"].get("transfers") != "active":
            raise Refused("Your destination account needs to have the transfers capability enabled.",
                          code="insufficient_capabilities_for_transfer")  # fmt: skip
        charge = self.get(params.get("source_transaction", ""), "charge")
        if params["currency"] != charge["currency"]:
            raise Refused(
                "The currency of source_transaction's balance transaction differs.", param="currency"
            )
        made = sum(one["amount"] for one in self.list("transfer", source_transaction=charge["id"]))
        if params.get("amount", 0) <= 0 or made + params["amount"] > charge["amount"]:
            raise Refused("Transfers from this charge would be more than it.", param="amount")
        return self.make("tr", "transfer", reversed=False, amount_reversed=0, **params)

    def reverse(self, one: str, params: JSON) -> JSON:
        transfer = self.get(one, "transfer")
        amount = params.get("amount", transfer["amount"] - transfer["amount_reversed"])
        if amount <= 0 or transfer["amount_reversed"] + amount > transfer["amount"]:
            raise Refused("Reversal amount is greater than unreversed amount on transfer", param="amount")
        if transfer["destination"] in self.poor:
            raise Refused("Insufficient funds in the connected account.", code="balance_insufficient")
        transfer["amount_reversed"] += amount
        return self.make(
            "trr", "transfer_reversal", transfer=one, amount=amount, metadata=params.get("metadata", {})
        )

    # What people do.

    def pay(
        self, session_id: str, *, amount: int | None = None, currency: str = "", later: bool = False
    ) -> JSON:
        """Somebody pays on the page; ``later`` by their bank, which takes some days."""
        session = self.get(session_id, "checkout.session")
        assert session["status"] == "open", session["status"]
        paid = session["amount_total"] if amount is None else amount
        intent = self.make(
            "pi", "payment_intent", status="processing", amount=paid, amount_received=0,
            currency=currency or session["currency"], latest_charge=None, **session["_intent"],
        )  # fmt: skip
        session |= {"status": "complete", "payment_intent": intent["id"], "url": None}
        if later:
            self.happen("checkout.session.completed", session)
        else:
            self._succeed(session, intent)
            self.happen("checkout.session.completed", session)
        return intent

    def arrive(self, session_id: str, *, good: bool) -> None:
        """A slow payment arrives, or does not."""
        session = self.get(session_id, "checkout.session")
        intent = self.get(session["payment_intent"], "payment_intent")
        if good:
            self._succeed(session, intent)
            self.happen("checkout.session.async_payment_succeeded", session)
        else:
            intent["status"] = "requires_payment_method"
            self.happen("payment_intent.payment_failed", intent)
            self.happen("checkout.session.async_payment_failed", session)

    def _succeed(self, session: JSON, intent: JSON) -> None:
        charge = self.make(
            "ch", "charge", amount=intent["amount"], amount_refunded=0, refunded=False, disputed=False,
            currency=intent["currency"], payment_intent=intent["id"], metadata=intent.get("metadata", {}),
            status="succeeded", transfer_group=intent.get("transfer_group"),
        )  # fmt: skip
        session["payment_status"] = "paid"
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"]}
        self.happen("payment_intent.succeeded", intent)
        self.happen("charge.succeeded", charge)

    def dispute(self, intent_id: str, amount: int, fee: int = 1_500) -> JSON:
        """The buyer's bank wants money back, and at once takes it."""
        intent = self.get(intent_id, "payment_intent")
        charge = self.get(intent["latest_charge"], "charge")
        charge["disputed"] = True
        made = self.make(
            "dp", "dispute", amount=amount, currency=charge["currency"], status="needs_response",
            charge=charge["id"], payment_intent=intent_id, metadata={},
            balance_transactions=[self._movement(-amount, fee, charge["currency"])],
        )  # fmt: skip
        self.happen("charge.dispute.created", made)
        self.happen("charge.dispute.funds_withdrawn", made)
        return made

    def _movement(self, amount: int, fee: int, currency: str) -> JSON:
        return {"id": f"txn_{next(self._numbers)}", "object": "balance_transaction", "amount": amount,
                "fee": fee, "net": amount - fee, "currency": currency}  # fmt: skip

    def close(self, dispute_id: str, *, won: bool) -> None:
        """The bank decides."""
        dispute = self.get(dispute_id, "dispute")
        dispute["status"] = "won" if won else "lost"
        if won:
            dispute["balance_transactions"].append(self._movement(dispute["amount"], 0, dispute["currency"]))
            self.happen("charge.dispute.funds_reinstated", dispute)
        self.happen("charge.dispute.closed", dispute)

    def set_transfers(self, account_id: str, state: str = "active") -> None:
        """A seller has told Stripe all it wants to know; or is not to be paid any more."""
        account = self.get(account_id, "account")
        account["capabilities"]["transfers"] = state
        self.happen("account.updated", account, account_id)
