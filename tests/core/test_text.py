# ruff: noqa: RUF001 - look-alike letters are what is tested here
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veza.core.text import (
    BadValue,
    clean_text,
    email_key,
    fold,
    normalise_email,
    normalise_username,
    username_key,
)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a\x00b", "INVALID_CHARACTER"),
        ("a\x1b[2Jb", "INVALID_CHARACTER"),
        ("a\x85b", "INVALID_CHARACTER"),
        ("a\tb", "INVALID_CHARACTER"),
        ("a\nb", "INVALID_CHARACTER"),
        ("a\ud800b", "INVALID_CHARACTER"),
        ("a\u202eb", "INVALID_CHARACTER"),
        ("a\u2066b", "INVALID_CHARACTER"),
        ("a\ufeffb", "INVALID_CHARACTER"),
        ("a\uffffb", "INVALID_CHARACTER"),
        ("Z" + "\u0301" * 9, "TOO_MANY_MARKS"),
        ("x" * 101, "TOO_LONG"),
        ("", "TOO_SHORT"),
        (" \u00a0\u3000", "TOO_SHORT"),
        ("\u200b\u200d\u3164\u2800", "TOO_SHORT"),
    ],
)
def test_refused(value, code):
    """G8: what would break logs, storage or the page around it is refused, and the answer says why."""
    with pytest.raises(BadValue) as caught:
        clean_text(value, max_chars=100, min_chars=1)
    assert caught.value.code == code
    assert caught.value.message.isascii()


@pytest.mark.parametrize(
    "value",
    [
        "Café del Mar",
        "שלום עולם",
        "مرحبا\u200f!",
        "می\u200cخواهم",
        "👩\u200d🎤 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️",
        "ภาษา\u200bไทย",
        "בְּרֵאשִׁית",
        "<script>alert(1)</script>",
        "  kept as written  ",
    ],
)
def test_ordinary_writing_is_kept(value):
    """G8, U6: text is stored in normal form C and otherwise as written, right-to-left and emoji too."""
    assert clean_text(value, max_chars=100, min_chars=1) == unicodedata.normalize("NFC", value)


def test_several_lines():
    assert clean_text("a\r\nb\rc\n\td", max_chars=10, multiline=True) == "a\nb\nc\n\td"


def test_length_is_counted_in_normal_form_c():
    assert clean_text("e\u0301" * 10, max_chars=10) == "é" * 10
    with pytest.raises(BadValue, match="at most 10"):
        clean_text("é" * 11, max_chars=10)


def test_a_flood_of_marks_is_refused_quickly():
    """G8: normalising a run of marks is quadratic, so 500,000 of them are refused before it."""
    flood = "a" + "\u0301\u0323" * 250_000
    started = time.thread_time()
    for max_chars in (100, 1_000_000):
        with pytest.raises(BadValue):
            clean_text(flood, max_chars=max_chars)
    assert time.thread_time() - started < 1


@settings(deadline=None)
@given(st.text(max_size=50))
def test_what_is_accepted_is_stable(value):
    """G8: accepted text encodes, and cleaning it again changes nothing."""
    try:
        text = clean_text(value, max_chars=100, multiline=True)
    except BadValue:
        return
    text.encode()
    assert clean_text(text, max_chars=100, multiline=True) == text
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Björk", "bjork"),
        ("ŁÓDŹ", "lodz"),
        ("Straße", "strasse"),
        ("Ａｂ  c\n", "ab c"),
        ("İstanbul ISTANBUL", "istanbul istanbul"),
        ("ガ", "ガ"),
        ("한글", "한글"),
        ("हिन्दी", "हिन्दी"),
        ("שָׁלוֹם", "שלום"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
    ],
)
def test_fold(text, folded):
    assert fold(text) == folded


@pytest.mark.parametrize("name", ["bob", "j.doe_2-x", "0day", "a" * 30, "admiral"])
def test_good_usernames(name):
    assert normalise_username(name) == name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("аdmin", "USERNAME_INVALID"),  # its first letter is Cyrillic
        (".", "USERNAME_INVALID"),
        ("../", "USERNAME_INVALID"),
        ("me", "USERNAME_INVALID"),
        ("x", "USERNAME_INVALID"),
        ("x" * 65, "USERNAME_INVALID"),
        ("_bob", "USERNAME_INVALID"),
        ("bob\n", "USERNAME_INVALID"),
        (" bob", "USERNAME_INVALID"),
        ("bob🎵", "USERNAME_INVALID"),
        ("bo\u200db", "USERNAME_INVALID"),
        ("bob\x00", "USERNAME_INVALID"),
        ("admin", "USERNAME_RESERVED"),
        ("Admin", "USERNAME_RESERVED"),
        ("a.d-m_i.n", "USERNAME_RESERVED"),
        ("null", "USERNAME_RESERVED"),
        ("veza", "USERNAME_RESERVED"),
    ],
)
def test_bad_usernames(name, code):
    """A4, G8: homoglyphs, paths, emoji and names that speak for the platform are refused."""
    with pytest.raises(BadValue) as caught:
        normalise_username(name)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("John@Example.COM", "john@example.com"),
        ("john@example.com.", "john@example.com"),
        (" john@example.com ", "john@example.com"),
        ("john@BÜCHER.example", "john@xn--bcher-kva.example"),
        ("john@bu\u0308cher.example", "john@XN--BCHER-KVA.example"),
        ("john@ｅxample。com", "john@example.com"),
    ],
)
def test_spellings_of_one_address_share_a_key(one, other):
    """A2, A3: case, trailing dot and Unicode domain make no second account."""
    assert email_key(normalise_email(one)) == email_key(normalise_email(other))


def test_the_local_part_is_kept_as_typed():
    assert normalise_email("John.Doe+veza@Example.com") == "John.Doe+veza@example.com"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "john",
        "@example.com",
        "john@",
        "a@b@example.com",
        "john@localhost",
        "john@127.0.0.1",
        "john@[127.0.0.1]",
        '"john doe"@example.com',
        "john..doe@example.com",
        ".john@example.com",
        "john@example..com",
        "john@-example.com",
        "john@ex_ample.com",
        "john@xn--zzzz.example",
        "john@\u2100.example",
        "jöhn@example.com",
        "john@example.com\r\nBcc: all@example.com",
        "john@example.com\n",
        "john\x00@example.com",
        "john@ex\ud800ample.com",
        "john@exam\u200bple.\u202ecom",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".com",
        "a@" + "bcd." * 63 + "com",
        "john@" + "é" * 100_000 + ".com",
    ],
)
def test_bad_addresses(value):
    """A3: two addresses, header injection, literals and over-long ones are refused."""
    with pytest.raises(BadValue) as caught:
        normalise_email(value)
    assert caught.value.code == "EMAIL_INVALID"


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(value):
    """A3: whatever is accepted is ASCII, on one line, and its own normal form."""
    try:
        email = normalise_email("a@" + value)
    except BadValue:
        return
    assert email.isascii()
    assert email.isprintable()
    assert normalise_email(email) == email


def test_usernames_are_unique_without_regard_to_case():
    """A2: the key of a username knows no case."""
    assert username_key("JohnDoe") == username_key("JOHNDOE") == "johndoe"
