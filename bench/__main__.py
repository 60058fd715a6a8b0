"""python -m bench [NAME ...]: measure everything, or what is named."""

import argparse
import time

import uvloop

from bench import (
    analytics,
    audit,
    audit_postgres,
    chat,
    chunks,
    cluster,
    feed,
    filters,
    imports,
    market,
    media,
    notifications,
    people,
    playlists,
    plays,
    postgres,
    recommendations,
    restore,
    search,
    seed,
    slow,
    sound,
    start,
    tracks,
    upload,
    webhooks,
)
from bench.table import Figure, show

GROUPS = {
    "tracks": (tracks.speed, 100_000),
    "scale": (tracks.scale, 10_000, 1_000_000),
    "truth": (tracks.truth, 10_000),
    "search": (search.search, 100_000, 1_000_000),
    "search-filters": (filters.filters, 1_000_000),
    "search-postgres": (postgres.search, 100_000),
    "signed-in": (people.signed_in, 100_000),
    "logins": (people.logins, 100_000),
    "slow": (slow.slow, 10_000),
    "start": (start.start, 100_000),
    "memory": (start.memory, 100_000),
    "upload": (upload.upload, 10_000),
    "chunks": (chunks.chunks, 10_000),
    "bytes": (sound.sound, 10_000),
    "media": (media.media,),
    "leaps": (media.leaps,),
    "copies": (media.copies,),
    "plays": (plays.plays, 100_000),
    "statistics": (plays.statistics, 100_000),
    "playlists": (playlists.playlists, 10_000),
    "playlists-postgres": (playlists.on_postgres, 10_000),
    "feed": (feed.feed, 10_000),
    "recommendations": (recommendations.recommendations, 1_000_000),
    "dashboards": (analytics.dashboards, 100_000),
    "market": (market.lists, 10_000),
    "orders": (market.orders, 10_000),
    "notifications": (notifications.notifications, 10_000),
    "webhooks": (webhooks.webhooks, 10_000),
    "audit": (audit.search, 10_000),
    "audit-cost": (audit.cost, 10_000),
    "audit-postgres": (audit_postgres.search, 10_000),
    "audit-cost-postgres": (audit_postgres.cost, 10_000),
    "chat": (chat.chat,),
    "cluster": (cluster.cluster, 10_000),
    "import": (imports.imports, 10_000),
    "restore": (restore.restore,),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Figures of Veza, side by side with the machine's own."
    )
    parser.add_argument("names", nargs="*", choices=[[], *GROUPS], metavar="NAME", help=", ".join(GROUPS))
    figures: list[Figure] = []
    for name in parser.parse_args().names or GROUPS:
        measure, *sizes = GROUPS[name]
        for size in sizes:
            seed.seeded(size)
        began = time.perf_counter()
        found = uvloop.run(measure())
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        figures += found
    show(figures)
    raise SystemExit(any(figure.held is False for figure in figures))


if __name__ == "__main__":
    main()
