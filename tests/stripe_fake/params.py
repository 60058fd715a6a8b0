"""Reads a form-encoded body as Stripe does, and refuses what the specification does not know."""

import re
import sys
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from stripe.params import (
    AccountCreateParams,
    AccountLinkCreateParams,
    AccountRetrieveParams,
    DisputeListParams,
    EventListParams,
    PaymentIntentRetrieveParams,
    RefundCreateParams,
    RefundListParams,
    TransferCreateParams,
    TransferListParams,
    TransferRetrieveParams,
    TransferReversalCreateParams,
    TransferReversalListParams,
)
from stripe.params.checkout import SessionCreateParams, SessionExpireParams, SessionRetrieveParams
from typing_extensions import is_typeddict

ENDPOINTS: list[tuple[str, str, Any]] = [
    ("POST", r"/v1/checkout/sessions", SessionCreateParams),
    ("GET", r"/v1/checkout/sessions/(\w+)", SessionRetrieveParams),
    ("POST", r"/v1/checkout/sessions/(\w+)/expire", SessionExpireParams),
    ("GET", r"/v1/payment_intents/(\w+)", PaymentIntentRetrieveParams),
    ("POST", r"/v1/refunds", RefundCreateParams),
    ("GET", r"/v1/refunds", RefundListParams),
    ("GET", r"/v1/disputes", DisputeListParams),
    ("POST", r"/v1/transfers", TransferCreateParams),
    ("GET", r"/v1/transfers", TransferListParams),
    ("GET", r"/v1/transfers/(\w+)", TransferRetrieveParams),
    ("POST", r"/v1/transfers/(\w+)/reversals", TransferReversalCreateParams),
    ("GET", r"/v1/transfers/(\w+)/reversals", TransferReversalListParams),
    ("POST", r"/v1/accounts", AccountCreateParams),
    ("GET", r"/v1/accounts/(\w+)", AccountRetrieveParams),
    ("POST", r"/v1/account_links", AccountLinkCreateParams),
    ("GET", r"/v1/events", EventListParams),
]
# What the library's types have beside the parameters: how to send them.
_OPTIONS = {
    "api_key", "stripe_version", "stripe_account", "stripe_context", "max_network_retries", "idempotency_key",
    "content_type", "headers",
}  # fmt: skip


class Refused(Exception):
    """An error of Stripe's: its status, and what is said of it."""

    def __init__(self, message: str, status: int = 400, **said: Any) -> None:
        super().__init__(message)
        self.status = status
        self.said = {"type": "invalid_request_error", "message": message, **said}


def read(method: str, path: str, text: str) -> tuple[str, list[str], dict[str, Any]]:
    """The endpoint, the ids in its path, and its parameters, of the right types."""
    for wanted, pattern, kind in ENDPOINTS:
        found = re.fullmatch(pattern, path)
        if found and wanted == method:
            return f"{method} {pattern}", list(found.groups()), _check(kind, nest(text), "")
    message = f"Unrecognized request URL ({method}: {path})."
    raise Refused(message, 404)


def nest(text: str) -> dict[str, Any]:
    """``a[b][0]=c`` as nested dictionaries; lists are dictionaries by number until their type is known."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        first, *rest = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        at, key = found, first
        for part in rest:
            at = at.setdefault(key, {})
            key = part
        at[key] = value
    return found


@cache
def _fields(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    names = {"StripeContext": Any, "Mapping": Mapping}  # of the options
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]), names)
    return {name: hint for name, hint in hints.items() if name not in _OPTIONS}, kind.__required_keys__


def _check(kind: Any, given: dict[str, Any], where: str) -> dict[str, Any]:
    fields, required = _fields(kind)
    name = (lambda key: f"{where}[{key}]") if where else (lambda key: key)
    for key in given.keys() - fields.keys():
        raise Refused(f"Received unknown parameter: {name(key)}", code="parameter_unknown", param=name(key))
    for key in required - given.keys():
        raise Refused(f"Missing required param: {name(key)}.", code="parameter_missing", param=name(key))
    return {key: _convert(fields[key], value, name(key)) for key, value in given.items()}


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        options = [one for one in args if one is not type(None)]
        literal = [one for one in options if get_origin(one) is Literal]
        # `Literal[…] | str` is how the types say: these, and what a later version may add.
        return _first([*literal, *(one for one in options if not (literal and one is str))], value, where)
    if origin is Literal:
        if value in args:
            return value
        raise Refused(f"Invalid {where}: must be one of {', '.join(map(str, args))}", param=where)
    if origin in {list, tuple} and isinstance(value, dict):
        return [_convert(args[0], one, f"{where}[{n}]") for n, one in enumerate(value.values())]
    if is_typeddict(hint) and isinstance(value, dict):
        return _check(hint, value, where)
    if origin is dict and isinstance(value, dict):
        return {key: _convert(args[1], one, f"{where}[{key}]") for key, one in value.items()}
    return _plain(hint, value, where)


def _first(options: list[Any], value: Any, where: str) -> Any:
    refused: Refused | None = None
    for option in options:
        try:
            return _convert(option, value, where)
        except Refused as no:
            refused = no if refused is None or is_typeddict(option) else refused
    assert refused is not None
    raise refused


def _plain(hint: Any, value: Any, where: str) -> Any:
    if isinstance(value, str):
        if hint is int and re.fullmatch(r"-?\d+", value):
            return int(value)
        if hint is bool and value in {"true", "false"}:
            return value == "true"
        if hint is str:
            return value
    raise Refused(f"Invalid {getattr(hint, '__name__', hint)}: {value!r}", param=where)
