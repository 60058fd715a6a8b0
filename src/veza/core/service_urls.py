"""URLs of what Veza works with, as operators write them down: what they hold of passwords is not said."""

import re
from urllib.parse import parse_qsl, urlsplit

# What the parts of an authority are; of PostgreSQL it may name several servers.
_HOST = re.compile(r"(?:\[[^\[\]]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?")
_MOST_PORT = 65_535
_POSTGRES = ("postgresql://", "postgres://")
# Nobody's password is in one of these.
_PLAIN = ("file:", "s3:")
# What S3 answers, and what the system says where nobody does.
_ANSWER = re.compile(r"<Code>(?P<code>[^<]*)</Code>\s*(?:<Message>(?P<message>[^<]*)</Message>)?")
_SYSTEM = re.compile(r'(?:message|error): "([^"]*)"')
_SAID = (
    "cannot be read as a URL: a port is a number, and within a user or a password / ? # @ [ ] %"
    " are written %2F %3F %23 %40 %5B %5D %25."
)


def mistake(url: str) -> str:
    """What is wrong with the form of a URL, in one line that tells nothing of it; empty if nothing is.

    A password with such a sign in it ends there, and drivers take what follows for a port, a path or another
    server. Behind the server @ is written %40 as well, for it is what tells of that.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, strict_parsing=bool(parts.query and url.startswith(_POSTGRES)))
    except ValueError:
        return _SAID
    user, _, servers = parts.netloc.rpartition("@")
    if parts.netloc and "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return _SAID
    hosts = [servers]
    if url.startswith(_POSTGRES):
        hosts = servers.split(",")
        hosts += [f":{port}" for name, ports in query if name == "port" for port in ports.split(",")]
        if "@" in user:  # its driver ends the password at the first
            return _SAID
    return "" if all(map(_is_host, hosts)) else _SAID


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and int(found["port"] or 0) <= _MOST_PORT


def where(url: str) -> str:
    """What may be said of a URL that may hold a password: where it leads."""
    if not url.startswith(_PLAIN) and mistake(url):
        return "an address that cannot be read"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def why(error: BaseException) -> str:
    """In a line, what an error says of its cause; never a password, for no error of a driver's names one."""
    cause = error.__cause__ or error
    said = " ".join(_gist(str(cause)).split())[:200]
    return f"{type(cause).__name__}: {said}" if said else type(cause).__name__


def _gist(said: str) -> str:
    """The answer alone, of what the library of S3 says: what was asked, the answer, and how it came to it."""
    head, debug, tail = said.partition("Debug source:")
    if found := _ANSWER.search(head):
        return ": ".join(part for part in (found["code"], found["message"]) if part)
    if not debug:
        return said
    system = _SYSTEM.search(tail)
    return f"{head.rpartition(' - ')[2].strip()}{f' ({system[1]})' if system else ''}"
