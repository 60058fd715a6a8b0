"""Where a share link leads a browser: to what it shows."""

from litestar import get
from litestar.response import Redirect


@get("/playlists/shared/{token:str}", include_in_schema=False, sync_to_thread=False)
def open_link(token: str) -> Redirect:
    """On to the API; the address holds a token, which no cache and no other site is to learn."""
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Redirect(f"/api/v1/playlists/shared/{token}", status_code=302, headers=headers)


PAGES = [open_link]
