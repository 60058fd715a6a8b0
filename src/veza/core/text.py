"""Text that strangers send: what is kept, what is refused, and how two spellings are compared.

Nothing here rewrites what somebody wrote beyond Unicode's normal form C and one kind of line break: a text
is either stored as it came or refused with a reason.
"""

import re
import unicodedata

import idna

_MARKS_PER_LETTER = 8
# Unicode never composes three code points into less than one, so this much is too long in any form.
_MOST_CODE_POINTS_FOR_ONE = 3

# Refused wherever they stand, each for its own reason:
_REFUSED = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls: terminals, logs and C strings act on them
    "\ud800-\udfff"  # half a surrogate pair: has no UTF-8 form, so it could not be stored
    "\u202a-\u202e\u2066-\u2069"  # bidi embeddings, overrides, isolates: they reorder what follows the text
    "\u206a-\u206f\ufff9-\ufffb"  # deprecated formatting, annotations: they hide text from readers
    "\u2060-\u2064\ufeff\u180e"  # invisible joiners and operators: two names that look alike would differ
    "\ufdd0-\ufdef\ufffe\uffff"  # code points that can never be characters
    "]"
)
# The left-to-right and right-to-left marks (U+200E, U+200F, U+061C) stay: they only place the punctuation
# beside them. So do ZWNJ and ZWJ, which Persian, the Indic scripts and emoji need, and the zero-width space,
# which breaks lines in Thai and Khmer. None of them counts as something to read.
_UNSEEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


class BadValue(ValueError):
    """A value that breaks a rule: ``code`` is stable, ``message`` is for the person who sent it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def clean_text(value: str, *, max_chars: int, min_chars: int = 0, multiline: bool = False) -> str:
    """The text in normal form C, with LF for every line break; lengths are in code points of that form.

    ``min_chars`` counts only what can be seen: a title of spaces is an empty one. Raises BadValue with
    ``TOO_LONG``, ``TOO_SHORT``, ``INVALID_CHARACTER`` or ``TOO_MANY_MARKS``. Source: Unicode UAX 9, 15, 31.
    """
    # Before anything else: normalising is quadratic in a run of marks, so no long run may reach it.
    if len(value) > max_chars * _MOST_CODE_POINTS_FOR_ONE:
        raise _too_long(max_chars)
    text = value.replace("\r\n", "\n").replace("\r", "\n") if multiline else value
    if not multiline and any(c in text for c in "\t\n\r"):
        raise BadValue("INVALID_CHARACTER", "Must be a single line, without tabs.")
    if bad := _REFUSED.search(text):
        raise BadValue("INVALID_CHARACTER", f"Must not contain the character U+{ord(bad.group()):04X}.")
    if not text.isascii():
        _check_marks(text)
        text = unicodedata.normalize("NFC", text)
    if len(text) > max_chars:
        raise _too_long(max_chars)
    if min_chars and _seen(text) < min_chars:
        raise _too_short(min_chars)
    return text


def _check_marks(text: str) -> None:
    """Real writing stacks five marks at most (pointed Hebrew); hundreds of them cover the lines around."""
    run = 0
    for char in text:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if run > _MARKS_PER_LETTER:
            raise BadValue("TOO_MANY_MARKS", f"Must not stack more than {_MARKS_PER_LETTER} marks.")


def _seen(text: str) -> int:
    """How many characters a reader would see."""
    return sum(
        unicodedata.category(c) not in ("Zs", "Zl", "Zp", "Cc", "Cf") and c not in _UNSEEN_LETTERS
        for c in text
    )


def is_blank(text: str) -> bool:
    """Whether a reader would see nothing."""
    return not _seen(text)


def _too_long(max_chars: int) -> BadValue:
    return BadValue("TOO_LONG", f"Must have at most {max_chars} characters.")


def _too_short(min_chars: int) -> BadValue:
    if min_chars == 1:
        return BadValue("TOO_SHORT", "Must not be empty.")
    return BadValue("TOO_SHORT", f"Must have at least {min_chars} characters.")


# Letters that people search for without their stroke, but which Unicode does not decompose.
_STROKES = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ħ": "h",
        "ŧ": "t",
        "\u0131": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ð": "d",
    }
)
# Combining classes of accents over and under Latin, Greek and Cyrillic (200 and up) and of the optional
# Hebrew and Arabic points (10 to 36). The others change which letter it is: Japanese voicing, Indic signs.
_FIRST_ACCENT = 200
_POINTS = range(10, 37)


def fold(text: str) -> str:
    """What the text is searched and compared by: no case, accents, strokes, widths or doubled spaces.

    Takes text that clean_text let through. Source: Unicode, The Standard, D146 (caseless matching).
    """
    if text.isascii():
        return " ".join(text.lower().split())
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not _is_accent(c)).casefold()
    return " ".join(unicodedata.normalize("NFKC", bare.translate(_STROKES)).split())


def _is_accent(char: str) -> bool:
    weight = unicodedata.combining(char)
    return weight >= _FIRST_ACCENT or weight in _POINTS or unicodedata.category(char) == "Cf"


USERNAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{2,29}"
_USERNAME = re.compile(USERNAME)
# Names that would speak for the platform, mean something to software, or read like a path of ours.
_RESERVED = frozenset(
    """
    about abuse access account accounts admin administrator administrators admins all analytics
    anonymous api app audit auth avatar billing blog chat client config contact copyright dashboard
    default deleted deleteduser developer developers discover dmca docs download downloads edit error
    everyone explore export false faq favicon feed feedback ftp guest guests healthz help helpdesk hls
    home host hosting hostmaster http https imap info internal invite ipfs legal login logout mail
    mailer mailerdaemon marketplace me media messages metrics moderation moderator moderators mods
    myself nan news nobody none noreply notfound notification notifications null oauth official operator
    order orders owner password payment payments player playlist playlists pop postmaster press privacy
    profile public readyz redoc register registration report robots role roles root sales search
    security self server service services session sessions settings shop signin signout signup sitemap
    smtp ssl sso staff static stats status store stream streams superadmin superuser support swagger
    sysadmin sysop system team terms token tokens track tracks true undefined unknown upload uploads
    user username users verified verify veza vezaadmin vezaofficial vezasupport vezateam void webhook
    webhooks webmaster www you
    """.split()  # noqa: SIM905 - a column of 150 quoted words is no easier to read
)


def normalise_username(value: str) -> str:
    """The username as typed, if it is one: 3 to 30 ASCII letters, digits, ``_ . -``, beginning with no sign.

    Only ASCII, so that no name can look like another's. Raises BadValue with ``USERNAME_INVALID`` or
    ``USERNAME_RESERVED``.
    """
    if not _USERNAME.fullmatch(value):
        raise BadValue(
            "USERNAME_INVALID",
            "Use 3 to 30 letters, digits, `_`, `.` or `-`, beginning with a letter or a digit.",
        )
    # Signs do not make a reserved name another one: `a.d.m.i.n` is read as `admin`.
    if username_key(value).translate({ord(c): None for c in "_.-"}) in _RESERVED:
        raise BadValue("USERNAME_RESERVED", "This username is reserved.")
    return value


def username_key(username: str) -> str:
    """What a username is unique by."""
    return username.casefold()


# RFC 5322's dot-atom. Quoted local parts and bracketed addresses are left out: nobody's mailbox has them,
# and they smuggle spaces, line breaks and second addresses past whoever parses them next.
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?![0-9]+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MAX_LOCAL_PART = 64
_MAX_EMAIL = 254


def normalise_email(value: str) -> str:
    """One address, its domain in lower case, ASCII (IDNA 2008, UTS 46) and without the trailing dot.

    The local part keeps its case, for the servers that heed it. Raises BadValue with ``EMAIL_INVALID``.
    Source: RFC 5321 (4.5.3.1), RFC 5322 (3.4.1), RFC 5891.
    """
    local, _, domain = value.strip(" ").rpartition("@")
    if len(value) <= _MAX_EMAIL and len(local) <= _MAX_LOCAL_PART and _LOCAL_PART.fullmatch(local):
        email = f"{local}@{_ascii_domain(domain.removesuffix('.'))}"
        if len(email) <= _MAX_EMAIL and _DOMAIN.fullmatch(email[len(local) + 1 :]):
            return email
    raise BadValue("EMAIL_INVALID", "This is not an e-mail address.")


def _ascii_domain(domain: str) -> str:
    """The domain as DNS carries it; empty when it has no such form."""
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        return ""


def email_key(email: str) -> str:
    """What a normalised e-mail address is unique by: no server tells two mailboxes apart by case."""
    return email.casefold()
