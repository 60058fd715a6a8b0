"""What a payment provider refuses is said to whoever asked, and holds up nobody else."""

from pathlib import Path
from typing import Any

import pytest

from tests.rooms.market_house import ORDERS, buy, offer_track
from tests.rooms.payments_house import open_shop
from tests.rooms.tracks_house import code
from tests.stripe_fake.params import Refused
from veza.core.db import Database
from veza.rooms.marketplace.payments import Handover, ProviderRefused


async def test_a_refusal_is_no_failure(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K17: of a page, of a payment that is looked for, and of one seller's share beside another's."""
    async with open_shop(database, tmp_path) as shop:
        stan, olga, bob = [await shop.person(name) for name in ("stan", "olga", "bob")]
        accounts = [await shop.connect(seller) for seller in (stan, olga)]
        one, two, three = [await offer_track(shop.world, seller, price=10) for seller in (stan, olga, olga)]
        transfer, open_session = shop.stripe.transfer, shop.stripe.open_session

        def too_small(params: Any) -> Any:
            if params["destination"] == accounts[0]:
                raise Refused("Amount must convert to at least 1 cent.", code="amount_too_small")
            return transfer(params)

        monkeypatch.setattr(shop.stripe, "transfer", too_small)
        await shop.order(bob, one["id"], two["id"])
        assert shop.put_off == []
        assert [made["destination"] for made in shop.stripe.list("transfer")] == [accounts[1]]
        await shop.prove()
        # Nor is one held up by another of whom the provider does not even say what it has made.
        monkeypatch.setattr(shop.stripe, "transfer", transfer)
        provider: Any = shop.world.parts.providers.list_money()[0]
        find_handovers = provider.find_handovers

        async def not_of_stan(what: Handover) -> Any:
            if what.account == accounts[0]:
                raise ProviderRefused("No such account.")
            return await find_handovers(what)

        monkeypatch.setattr(provider, "find_handovers", not_of_stan)
        shop.stripe.lost = "POST /v1/transfers"
        four, five = [await offer_track(shop.world, seller, price=10) for seller in (stan, olga)]
        order = await shop.order(bob, four["id"], five["id"])
        shop.stripe.lost = ""
        await shop.again()
        await shop.again(days=4)
        made = shop.stripe.list("transfer", transfer_group=order["id"])
        assert accounts[1] in {one["destination"] for one in made}
        monkeypatch.undo()
        shop.put_off.clear()
        await shop.again(days=6)
        assert shop.put_off == []
        await shop.prove()

        def no_currency(_params: Any) -> Any:
            raise Refused("This account cannot take this currency.", param="currency")

        monkeypatch.setattr(shop.stripe, "open_session", no_currency)
        answer = await buy(bob, three["id"])
        assert (*code(answer), "retry-after" in answer.headers) == (503, "PAYMENT_UNAVAILABLE", False)
        monkeypatch.setattr(shop.stripe, "open_session", open_session)
        waiting = await shop.order(bob, three["id"], pay=False)
        del shop.stripe.objects[shop.session(waiting)]  # it was with another account of the operator's
        answer = await bob.post(f"{ORDERS}/{waiting['id']}/cancel")
        assert code(answer) == (503, "PAYMENT_UNAVAILABLE")
