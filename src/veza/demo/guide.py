"""What the demo says when it is made: whom to sign in as, and where to look first."""

from collections.abc import Iterator

from veza.demo.world import Demo


def guide(demo: Demo, base_url: str) -> Iterator[str]:
    """The lines."""
    api = f"{base_url}/api/v1"
    yield "Sign in as an artist, or as somebody who listens:"
    yield from (f"  {login.email:<26}{login.password}" for login in demo.logins)
    yield f"While `veza serve` runs, look at {base_url}/swagger/index.html, or at"
    yield f"  the charts     {api}/tracks?sort_by=popularity"
    yield f"  a search       {api}/search?q=nihgt"
    yield f"  playlists      {api}/playlists (signed in)"
    if demo.star is not None:
        track = f"{api}/tracks/{demo.star}"
        yield f"  a track        {track}"
        yield f"  its listeners  {track}/stats"
        yield f"  their words    {track}/comments"
        yield f"  its cover      {track}/cover"
        yield f"  its sound      {track}/hls/master.m3u8"
    yield "Covers and renditions of new songs follow within a minute of serving."
