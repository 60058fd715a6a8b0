"""What this room holds about somebody, for the export of their data."""

from veza.rooms.accounts.holdings import Holding
from veza.rooms.reports import service

# Reports go with the row of whoever made them.
HOLDING = Holding("reports", service.list_by)
