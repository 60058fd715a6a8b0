"""The days of a dashboard as a sheet of CSV (RFC 4180)."""

import csv
import io
from collections.abc import Sequence

from veza.rooms.analytics.schemas import Point

MIME = "text/csv; charset=utf-8; header=present"


def sheet_of(points: Sequence[Point]) -> bytes:
    """A line for each day: when it begins, and its plays."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["date", "plays"])
    writer.writerows([point.date.isoformat().replace("+00:00", "Z"), point.count] for point in points)
    return text.getvalue().encode()
