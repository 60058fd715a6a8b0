"""The SQL that counts plays again, each track in one statement and so as of one moment."""

from uuid import UUID

import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx
from veza.rooms.tracks.tables import track_stats

S = track_stats.c

_PLAYED = Statement(
    sa.select(S.track_id).where(S.track_id > sa.bindparam("after")).order_by(S.track_id).limit(
        sa.bindparam("count")
    ),
    UUID,
)  # fmt: skip
_DRIFT = Statement(
    sa.text(
        """
        WITH counted AS (
            SELECT p.at / 86400000000 AS day, COUNT(*) AS plays, SUM(p.heard_ms) AS heard_ms,
                   SUM(p.part) AS parts, SUM(CASE WHEN l.user_id = t.user_id THEN 0 ELSE 1 END) AS charted
            FROM listeners l JOIN plays p ON p.listener_id = l.id JOIN tracks t ON t.id = l.track_id
            WHERE l.track_id = :track GROUP BY 1
        ), kept AS (
            SELECT day, plays, heard_ms, parts FROM play_days WHERE track_id = :track
        ), total AS (
            SELECT COALESCE(SUM(plays), 0) AS plays, COALESCE(SUM(heard_ms), 0) AS heard_ms,
                   COALESCE(SUM(parts), 0) AS parts, COALESCE(SUM(charted), 0) AS charted FROM counted
        ), heard AS (
            SELECT COUNT(*) AS listeners, COALESCE(SUM(plays), 0) AS plays
            FROM listeners WHERE track_id = :track
        )
        SELECT (SELECT COUNT(*) FROM (SELECT day, plays, heard_ms, parts FROM counted
                                      EXCEPT SELECT day, plays, heard_ms, parts FROM kept) a)
             + (SELECT COUNT(*) FROM (SELECT day, plays, heard_ms, parts FROM kept
                                      EXCEPT SELECT day, plays, heard_ms, parts FROM counted) b)
             + (SELECT COUNT(*) FROM track_stats s CROSS JOIN total n CROSS JOIN heard h
                WHERE s.track_id = :track AND NOT (
                    s.plays = n.plays AND s.plays = h.plays AND s.listeners = h.listeners
                    AND s.heard_ms = n.heard_ms AND s.parts = n.parts AND s.charted = n.charted)) AS drift
        """
    )
    .bindparams(sa.bindparam("track", type_=Id))
    .columns(sa.column("drift", sa.BigInteger)),
    int,
    heavy=True,
)


async def list_played(view: Tx, after: UUID, count: int) -> list[UUID]:
    """The next tracks that were ever played, by their ids."""
    return await view.all(_PLAYED, after=after, count=count)


async def drift(view: Tx, track_id: UUID) -> int:
    """How many days and totals of a track are not what its plays add up to."""
    return await view.first(_DRIFT, track=track_id) or 0
