"""What can go wrong in the marketplace."""

from veza.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable, ValidationFailed


class ProductNotFound(NotFound):
    """There is no such product, or you may not see it."""

    code = "PRODUCT_NOT_FOUND"


class ProductNotAvailable(Conflict):
    """This product is not on sale."""

    code = "PRODUCT_NOT_AVAILABLE"


class IllegalStatus(Conflict):
    """A product goes from draft to active, and from there to archived and back; one that is sold stays so."""

    code = "ILLEGAL_STATUS"


class TakenDown(Conflict):
    """Somebody who moderates has taken this off sale, so its seller cannot offer it again."""

    code = "PRODUCT_TAKEN_DOWN"


class AlreadyForSale(Conflict):
    """This is on sale already; an exclusive licence excludes every other, and of a track each kind is one."""

    code = "TRACK_ALREADY_FOR_SALE"


class OwnProduct(ValidationFailed):
    """This product is your own."""

    code = "OWN_PRODUCT"


class MixedCurrencies(ValidationFailed):
    """An order is in one currency."""

    code = "MIXED_CURRENCIES"


class AlreadyOwned(Conflict):
    """You own this already; or it is a service that you have ordered and not accepted yet."""

    code = "ALREADY_OWNED"


class PriceChanged(Conflict):
    """The price has changed."""

    code = "PRICE_CHANGED"


class OrderNotFound(NotFound):
    """There is no such order, or you may not see it."""

    code = "ORDER_NOT_FOUND"


class NothingToRefund(Conflict):
    """Nothing of this order can be given back: it was not paid for, has been refunded, or was accepted."""

    code = "NOTHING_TO_REFUND"


class NotBought(Forbidden):
    """You have not bought this, or it was refunded."""

    code = "NOT_PURCHASED"


class NothingToDownload(Conflict):
    """This product has no files, or its seller has not delivered any yet."""

    code = "NOTHING_TO_DOWNLOAD"


class FormatNotAvailable(Conflict):
    """This cannot be had in this format: nothing with a loss is made into what looks as if it had none."""

    code = "FORMAT_NOT_AVAILABLE"


class CopyFailed(Conflict):
    """This file cannot be made into this format; it can be had as it was uploaded."""

    code = "COPY_FAILED"


class CopyNotReady(Conflict):
    """What this address was for is not there any more; ask for a new one."""

    code = "COPY_NOT_READY"


class PaymentUnavailable(Unavailable):
    """Payments are not possible right now; try again soon."""

    code = "PAYMENT_UNAVAILABLE"


class AmountRefused(ValidationFailed):
    """The payment provider does not take amounts like this one."""

    code = "AMOUNT_REFUSED"


class SignatureRefused(InvalidRequest):
    """The provider did not sign this, or not lately."""

    code = "INVALID_SIGNATURE"


class ProviderNotFound(NotFound):
    """This payment provider is not set up here."""

    code = "PAYMENT_PROVIDER_NOT_FOUND"


class PayoutsNotOffered(Conflict):
    """Here sellers are not paid by a payment provider."""

    code = "PAYOUTS_NOT_OFFERED"


class OrderPending(Conflict):
    """Something of this is in an order of yours that is not paid for: pay for it, or cancel it."""

    code = "ORDER_PENDING"


class OrderNotPending(Conflict):
    """Only an order that is not paid for can be cancelled."""

    code = "ORDER_NOT_PENDING"


class PaymentUnderWay(Conflict):
    """This order is being paid for; your bank takes its time."""

    code = "PAYMENT_UNDER_WAY"


class OrderDisputed(Conflict):
    """The buyer's bank disputes the payment of this order: that is to be over first."""

    code = "ORDER_DISPUTED"


class PurchaseDisputed(Forbidden):
    """Your bank disputes the payment of this; until that is over it cannot be downloaded."""

    code = "PURCHASE_DISPUTED"


class ServiceNotFound(NotFound):
    """There is no such service in this order, or you may not see it."""

    code = "SERVICE_NOT_FOUND"


class NotToDeliver(Conflict):
    """This service has been delivered, and its buyer has not asked for a revision; or it was refunded."""

    code = "NOT_TO_DELIVER"


class NotDelivered(Conflict):
    """This service waits for its seller; or it was accepted or refunded already."""

    code = "NOT_DELIVERED"


class NotLate(Conflict):
    """The seller of this service still has time to deliver it."""

    code = "NOT_LATE"


class TooManyRevisions(Conflict):
    """This was sent back very often; accept it, or ask for your money back."""

    code = "TOO_MANY_REVISIONS"


class InsufficientBalance(Conflict):
    """There is not that much to be paid out."""

    code = "INSUFFICIENT_BALANCE"


class PayoutTooSmall(Conflict):
    """So little is not paid out."""

    code = "PAYOUT_TOO_SMALL"


class PayoutNotFound(NotFound):
    """There is no such payout."""

    code = "PAYOUT_NOT_FOUND"


class PayoutAlreadySettled(Conflict):
    """This payout was settled otherwise already."""

    code = "PAYOUT_SETTLED"
