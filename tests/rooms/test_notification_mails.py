"""Notifications by mail: at once or once a day, to whom that is right, and no longer than they want."""

import email
import email.policy
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import sqlalchemy as sa

from tests.rooms.listening_house import song, until
from tests.rooms.test_notifications import settled
from tests.world import World, open_world
from veza.access.signing import Signer
from veza.core import clock
from veza.core.db import Database, Statement
from veza.core.db.types import to_micros
from veza.core.events import EventJob
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.rooms.notifications.kinds import TELL
from veza.rooms.notifications.mailing import Mailing
from veza.rooms.notifications.unsubscribing import Unsubscribing


def mails(world: World, subject: str) -> list[EmailMessage]:
    """What was mailed under this subject."""
    folder = world.parts.settings.mail_folder
    found = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted(folder.glob("*.eml"))
    ]
    return [mail for mail in found if mail["Subject"] == subject]  # type: ignore[misc]  # the default policy makes these


async def digest(world: World) -> list[EmailMessage]:
    """Have digests written; those that there are."""
    parts, url = world.parts, world.parts.settings.base_url
    ending = Unsubscribing(Signer(parts.keyring), url)
    await Mailing(parts.database, parts.mailer, url, ending).begin_digests(None, None)  # type: ignore[arg-type]  # told nothing
    await settled(world)
    return mails(world, "What is new for you")


async def _have_begun(world: World) -> bool:
    """Whether the first day's digests, which come with the start, are behind us."""
    due = "SELECT run_at FROM jobs WHERE unique_key = 'every:notifications.digests'"
    found = await world.parts.database.rows(due)
    return bool(found) and found[0][0] > to_micros(clock.now() + timedelta(hours=1))


async def test_a_digest_says_what_was_not_read_and_ends_with_one_click(
    database: Database, tmp_path: Path
) -> None:
    """N6: in words that hold what the reader may see, once, and only where the address was confirmed."""
    async with open_world(database, tmp_path, work=True) as world:
        await until(lambda: _have_begun(world))
        olga, stan, ruth = [await world.person(name) for name in ("olga", "stan", "ruth")]
        wanted = {"preferences": {"user_followed": {"email": True}, "track_liked": {"email": True}}}
        for person in (olga, ruth):
            await person.put("/notifications/preferences", json=wanted)
            await stan.post(f"/users/{person.id}/follow")
        async with database.write() as tx:  # in turn with those who work
            await tx.run(Statement(sa.text("UPDATE users SET email_verified = (username <> 'ruth')")))
        liked = await song(world, olga)
        await stan.post(f"/tracks/{liked}/like")
        await ruth.post(f"/tracks/{liked}/comments", json={"content": "not wanted by mail"})
        await settled(world)
        (mail,) = await digest(world)
        assert mail["To"] == "olga@example.com"
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has one
        assert "stan started following you" in text
        assert "stan liked “" in text
        assert "commented" not in text
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link = str(mail["List-Unsubscribe"])
        assert link.startswith("<http://127.0.0.1:8080/notifications/unsubscribe?of=digest&sig=")
        assert link[1:-1] in text
        assert len(await digest(world)) == 1, "what was in a digest comes in no other"
        path = link[1:-1].removeprefix("http://127.0.0.1:8080")
        page = await world.guest.get(f"http://veza.test{path}")
        assert (page.status_code, "<form" in page.text) == (200, True)
        found = (await olga.get("/notifications/preferences")).json()["data"]["preferences"]
        assert found["user_followed"]["email"] is True, "looking changes nothing"
        one_click = {"List-Unsubscribe": "One-Click"}
        for wrong, status in ((path.replace("of=digest", "of=sale_made"), 403), (path + "x", 403)):
            assert (await world.guest.post(f"http://veza.test{wrong}", data=one_click)).status_code == status
        for _ in range(2):
            answer = await world.guest.post(f"http://veza.test{path}", data=one_click)
            assert answer.status_code == 200, answer.text
        found = (await olga.get("/notifications/preferences")).json()["data"]["preferences"]
        assert found["user_followed"] == {"in_app": True, "email": False}
        assert found["sale_made"]["email"] is True
        await ruth.post(f"/users/{olga.id}/follow")
        await settled(world)
        assert len(await digest(world)) == 1
        with clock.shifted(timedelta(days=366)):
            assert (await world.guest.post(f"http://veza.test{path}")).status_code == 403


async def test_a_sale_is_mailed_at_once(database: Database, tmp_path: Path) -> None:
    """Both are told; the buyer gets a receipt from the marketplace, the seller a notice that can be ended."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        async with database.write() as tx:
            data = {"order_id": str(new_id()), "user_id": stan.id, "seller_ids": [olga.id]}
            await enqueue(tx, TELL, EventJob(new_id(), "order.completed", data))
        await settled(world)
        for person, message in ((olga, "You made a sale"), (stan, "Your order is complete")):
            (told,) = (await person.get("/notifications")).json()["data"]["notifications"]
            assert (told["message"], told["subject"]["type"], told["actors"]) == (message, "order", [])
        (mail,) = mails(world, "You made a sale")
        assert mail["To"] == "olga@example.com"
        path = str(mail["List-Unsubscribe"])[1:-1].removeprefix("http://127.0.0.1:8080")
        assert (await world.guest.post(f"http://veza.test{path}")).status_code == 200
        found = (await olga.get("/notifications/preferences")).json()["data"]["preferences"]
        assert found["sale_made"] == {"in_app": True, "email": False}
