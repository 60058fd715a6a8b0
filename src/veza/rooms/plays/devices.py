"""Kinds of devices, found in what players say of themselves."""

import re
from functools import lru_cache

# Beginnings of words. The first kind that is found counts: a television's browser is a television.
_SIGNS = (
    ("tv", ("tv", "appletv", "smarttv", "roku", "chromecast", "bravia", "webos", "tizen")),
    ("console", ("playstation", "xbox", "nintendo")),
    ("speaker", ("speaker", "echo", "sonos", "homepod", "alexa", "nest")),
    ("car", ("carplay", "android auto", "automotive", "tesla")),
    ("watch", ("watch",)),
    ("tablet", ("ipad", "tablet", "kindle")),
    ("phone", ("iphone", "android", "mobile", "smartphone", "windows phone", "pixel", "galaxy")),
    ("browser", ("chrome", "firefox", "safari", "edge", "opera", "browser", "web", "mozilla")),
    ("computer", ("windows", "mac", "linux", "desktop", "ubuntu", "computer", "laptop")),
)
OTHER = "other"
_WORD = re.compile(r"[^\W_]+")


@lru_cache(4_096)
def class_of(device: str | None) -> str | None:
    """The kind of a device; None where nothing is known of it."""
    if not device:
        return None
    words = " " + " ".join(_WORD.findall(device.casefold()))
    return next((kind for kind, signs in _SIGNS if any(f" {sign}" in words for sign in signs)), OTHER)
