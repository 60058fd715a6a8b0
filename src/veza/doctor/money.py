"""Payments: whether money is taken, and whether that is what its operator thinks."""

from collections.abc import Sequence

from veza.doctor.findings import Finding, ok, warning, wrong
from veza.settings import Settings

_ABOUT = "payments"


async def look_at_payments(settings: Settings) -> Sequence[Finding]:
    """K19: which provider there is, and of which kind its keys; that they are complete, settings see to."""
    test = "_test_" in settings.stripe_secret_key
    if settings.payment_provider != "stripe":
        said = "Orders complete at once, and no money is taken (instant)."
        if not settings.stripe_secret_key:
            return [ok(_ABOUT, said)]
        return [
            warning(
                _ABOUT,
                said,
                "There are Stripe's keys, with which only older orders are given back.",
                "Set VEZA_PAYMENT_PROVIDER=stripe if orders are to be paid for.",
            )
        ]
    if settings.stripe_api_url:
        return [
            wrong(
                _ABOUT,
                f"Stripe is asked at {settings.stripe_api_url}.",
                "That is not Stripe's own address: whoever answers there decides what is paid.",
                "Unset VEZA_STRIPE_API_URL.",
            )
        ]
    if test:
        return [
            warning(
                _ABOUT,
                "Stripe's key is one for tests.",
                "Orders complete with test cards: no money moves.",
                "Before you sell, set the live key and the live endpoint's whsec_… secret.",
            )
        ]
    if not settings.base_url.startswith("https://"):
        return [
            wrong(
                _ABOUT,
                "Stripe's key is live, and the public URL is not encrypted.",
                "Stripe tells live endpoints by https alone: orders stay pending until they are asked for.",
                "Set VEZA_PUBLIC_URL to an https:// address.",
            )
        ]
    secrets = len(settings.webhook_secrets)
    return [
        ok(_ABOUT, f"Stripe takes money, and signs what it tells with {secrets} secret{'s' * (secrets > 1)}.")
    ]
