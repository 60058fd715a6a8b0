import asyncio
import email
import email.policy
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiosmtplib
import jinja2
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.ports import free_ports
from veza.core.ids import new_id
from veza.core.mail import (
    FolderMailer,
    Mail,
    MailDelayed,
    MailRefused,
    SmtpMailer,
    mailer_from,
    render,
)

SENDER = "Veza <veza@example.com>"
MAIL = Mail("ann@example.com", "Bonjour à tous", "One line.\n", "<p>One line.</p>")
WHEN = datetime(2026, 5, 4, 13, 5, tzinfo=UTC)
URL = "https://music.example.com"

TEMPLATES = {
    "verify_email": {"token": "t+/=&", "hours": 24},
    "password_reset": {"token": "t+/=&", "minutes": 60},
    "password_changed": {"when": WHEN, "ip_address": "192.0.2.1"},
    "two_factor_reset": {"when": WHEN},
    "security_alert": {"what": "An old session was used again.", "when": WHEN, "ip_address": "192.0.2.1"},
    "receipt": {
        "when": WHEN,
        "order_id": "7",
        "total": "9.99 EUR",
        "lines": [("<b>Song", "9.99 EUR", "MP3")],
    },
    "webhook_disabled": {"when": WHEN, "host": "hooks.example", "reason": "It is gone."},
    "digest": {"when": WHEN, "lines": ["<b>Ann liked it"], "more": True, "unsubscribe": f"{URL}/u?sig=x"},
    "notice": {"when": WHEN, "message": "You made a sale", "unsubscribe": f"{URL}/u?sig=x"},
    **{
        f"service_{what}": {"when": WHEN, "order_id": "7", "title": "<b>Mix"}
        for what in ("ordered", "delivered", "revision", "accepted")
    },
    "order_cancelled": {
        "when": WHEN,
        "order_id": "7",
        "total": "9.99 EUR",
        "lines": [("<b>Song", "9.99 EUR", "MP3")],
    },
    "refund": {"when": WHEN, "order_id": "7", "total": "9.99 EUR", "lines": [("<b>Song", "9.99 EUR", "MP3")]},
}


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


class Inbox:
    """An SMTP server's handler that keeps what it gets, or answers as it is told."""

    def __init__(self, *, rcpt="250 OK", data="250 OK", part=None, slow=0.0):
        self.rcpt, self.data, self.got, self.slow, self.part = rcpt, data, [], slow, part
        self.parted = asyncio.Event()

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802 - aiosmtpd's name
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.got.append(envelope)
        await asyncio.sleep(self.slow)
        return self.data

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.parted.set()
        if self.part == "hangs":
            await asyncio.Event().wait()
        if self.part == "hangs up":
            server.transport.abort()
        return self.part or "221 Bye"


@pytest.fixture
async def serve():
    """Start SMTP servers on loopback, each at the port that this returns; they end with the test."""
    running = []

    async def start(inbox, *, tls=None, **options):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(inbox, hostname="mx.example.com", loop=loop, **options), "127.0.0.1", 0, ssl=tls
        )
        running.append(server)
        return server.sockets[0].getsockname()[1]

    yield start
    for server in running:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_says_the_same_in_text_and_html(template):
    """A26: links begin with the configured address, whatever a request says of its host."""
    mail = render(template, to="ann@example.com", public_url=URL + "/", username="ann", **TEMPLATES[template])
    assert mail.to == "ann@example.com"
    assert mail.subject
    assert not mail.subject.startswith("Subject")
    for body in (mail.text, mail.html):
        assert "Hello ann," in body
        assert body.count("://") == body.count(URL)
    if "token" in TEMPLATES[template]:
        assert "token=t%2B/%3D%26" in mail.text
        assert "token=t%2B/%3D%26" in mail.html
    else:
        assert "04 May 2026, 13:05 UTC" in mail.text


def test_every_template_is_tested():
    folder = Path(__file__).parents[2] / "src" / "veza" / "mails"
    assert {path.stem for path in folder.glob("*.txt")} == set(TEMPLATES)
    assert {path.stem for path in folder.glob("*.html")} == set(TEMPLATES) | {"base", "button"}


def test_names_are_text_and_no_more():
    """A3, U6: what a stranger chose is escaped in HTML and begins no line of ours."""
    context = {"what": "x\n\nGo to <b>elsewhere</b>", "when": WHEN, "ip_address": "192.0.2.1"}
    mail = render(
        "security_alert", to="ann@example.com", public_url=URL, username="<script>\r\nHi", **context
    )
    assert "<script>" not in mail.html
    assert "&lt;script&gt; Hi" in mail.html
    assert "Hello <script> Hi," in mail.text
    assert "x Go to <b>elsewhere</b>" in mail.text


def test_a_forgotten_word_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        render("verify_email", to="ann@example.com", public_url=URL, username="ann", hours=24)


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("ann@example.com\r\nBcc: all@example.com", "x"),
        ("ann@example.com, all@example.com", "x"),
        ("Ann <ann@example.com>", "x"),
        ("", "x"),
        ("ann", "x"),
        ("ann@example.com", "x\r\nBcc: all@example.com"),
        ("ann@example.com", "x\ny"),
    ],
)
def test_headers_cannot_be_injected(to, subject):
    """A3: one recipient, one subject, on one line each."""
    with pytest.raises(ValueError, match=r"address|single line"):
        Mail(to, subject, "x", "x")


async def test_a_folder_keeps_whole_mails(tmp_path):
    """A mail written twice under one key is one file, private, with the same Message-ID."""
    folder = tmp_path / "data" / "mail"
    mailer = FolderMailer(folder, SENDER)
    keys = [new_id() for _ in range(3)]
    for key in [*keys, keys[0]]:
        await mailer.send(MAIL, key=key)
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == [f"{key}.eml" for key in keys]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    message = parse(files[0].read_bytes())
    assert message["From"] == SENDER
    assert message["To"] == "ann@example.com"
    assert message["Subject"] == "Bonjour à tous"
    assert message["Message-ID"] == f"<{keys[0]}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.tzinfo is not None
    assert message.get_body(("plain",)).get_content() == "One line.\r\n"
    assert message.get_body(("html",)).get_content() == "<p>One line.</p>\r\n"
    assert not message.defects


async def test_a_folder_that_cannot_be_written_delays_the_mail(tmp_path):
    """X15: the mail waits, the request does not."""
    (tmp_path / "file").touch()
    with pytest.raises(MailDelayed):
        await FolderMailer(tmp_path / "file", SENDER).send(MAIL, key=new_id())


async def test_mail_goes_out_by_smtp(serve):
    inbox = Inbox()
    key = new_id()
    await SmtpMailer(f"smtp://127.0.0.1:{await serve(inbox)}", SENDER).send(MAIL, key=key)
    (envelope,) = inbox.got
    assert envelope.mail_from == "veza@example.com"
    assert envelope.rcpt_tos == ["ann@example.com"]
    message = parse(envelope.content)
    assert message["Message-ID"] == f"<{key}@example.com>"
    assert message["Subject"] == "Bonjour à tous"


async def test_smtp_signs_in_with_what_the_url_says(serve):
    seen = []

    def check(server, session, envelope, mechanism, login):
        seen.append((login.login, login.password))
        return AuthResult(success=login.password == b"p@ss", handled=False)

    options = {"authenticator": check, "auth_require_tls": False}
    inbox = Inbox()
    port = await serve(inbox, **options)
    await SmtpMailer(f"smtp://us%3Aer:p%40ss@127.0.0.1:{port}", SENDER).send(MAIL, key=new_id())
    assert seen == [(b"us:er", b"p@ss")]
    assert len(inbox.got) == 1
    with pytest.raises(MailDelayed):
        await SmtpMailer(f"smtp://us%3Aer:wrong@127.0.0.1:{port}", SENDER).send(MAIL, key=new_id())
    assert len(inbox.got) == 1


@pytest.mark.parametrize(
    ("inbox", "error"),
    [
        (Inbox(rcpt="450 Try later"), MailDelayed),
        (Inbox(rcpt="550 No such user"), MailRefused),
        (Inbox(data="451 Try later"), MailDelayed),
        (Inbox(data="554 Not this"), MailRefused),
    ],
)
async def test_a_server_that_declines(serve, inbox, error):
    """X15: what the server takes later is tried again, what it never takes is not."""
    with pytest.raises(error) as caught:
        await SmtpMailer(f"smtp://127.0.0.1:{await serve(inbox)}", SENDER).send(MAIL, key=new_id())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["hangs", "hangs up", "500 What?", "nonsense"])
async def test_what_was_taken_is_sent_however_its_server_parts(serve, monkeypatch, part):
    """X15: else it would be sent again, up to fifty times; nor does whoever is told to stop wait for that."""
    inbox = Inbox(part=part)
    sending = SmtpMailer(f"smtp://127.0.0.1:{await serve(inbox)}", SENDER).send(MAIL, key=new_id())
    monkeypatch.setattr("veza.core.mail._TIMEOUT_SECONDS", 600)
    await asyncio.wait_for(sending, 30)
    assert len(inbox.got) == 1
    await asyncio.wait_for(inbox.parted.wait(), 30)


async def test_a_server_that_looks_into_a_mail_has_time_for_that(serve, monkeypatch):
    """X15: it takes the mail whether it is waited for or not; whoever did not would send it twice."""

    class Hasty(aiosmtplib.SMTP):
        async def data(self, message, **options):
            self.timeout = 0.01  # for all else, from now on
            return await super().data(message, **options)

    monkeypatch.setattr(aiosmtplib, "SMTP", Hasty)
    inbox = Inbox(slow=0.1)
    mailer = SmtpMailer(f"smtp://127.0.0.1:{await serve(inbox)}", SENDER)
    await mailer.send(MAIL, key=new_id())
    assert len(inbox.got) == 1
    monkeypatch.setattr("veza.core.mail._TAKING_SECONDS", 0.01)
    with pytest.raises(MailDelayed):
        await mailer.send(MAIL, key=new_id())


async def test_a_server_that_is_not_there():
    """X15: a refused connection delays the mail."""
    with pytest.raises(MailDelayed):
        await SmtpMailer(f"smtp://127.0.0.1:{free_ports(1)[0]}", SENDER).send(MAIL, key=new_id())


async def test_a_server_that_says_nothing(monkeypatch):
    """X15: silence ends with the time-out."""
    monkeypatch.setattr("veza.core.mail._TIMEOUT_SECONDS", 0.2)
    writers = []
    silent = await asyncio.start_server(lambda _r, w: writers.append(w), "127.0.0.1", 0)
    try:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{silent.sockets[0].getsockname()[1]}", SENDER)
        async with asyncio.timeout(30):
            with pytest.raises(MailDelayed):
                await mailer.send(MAIL, key=new_id())
    finally:
        for writer in writers:
            writer.close()
        silent.close()
        await silent.wait_closed()


async def test_no_mail_without_the_tls_that_was_asked_for(serve):
    """A server that offers no STARTTLS gets nothing from smtp+starttls://."""
    inbox = Inbox()
    with pytest.raises(MailDelayed):
        await SmtpMailer(f"smtp+starttls://127.0.0.1:{await serve(inbox)}", SENDER).send(MAIL, key=new_id())
    assert not inbox.got


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that only those trust who are told to, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_tls_is_used_and_its_certificate_checked(serve, certificate, scheme):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    inbox = Inbox()
    options = {"tls": tls} if scheme == "smtps" else {"tls_context": tls, "require_starttls": True}
    mailer = SmtpMailer(f"{scheme}://127.0.0.1:{await serve(inbox, **options)}", SENDER)
    with pytest.raises(MailDelayed, match="CERTIFICATE_VERIFY_FAILED"):
        await mailer.send(MAIL, key=new_id())
    assert not inbox.got
    mailer._tls.load_verify_locations(certificate)
    await mailer.send(MAIL, key=new_id())
    assert len(inbox.got) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://mail.example.com:99999",
        "smtp://mail.example.com/inbox",
        "smtp://user:password@mail.example.com",
    ],
)
def test_wrong_urls_are_refused_at_the_start(url):
    with pytest.raises(ValueError, match=r"SMTP|smtp|[Pp]ort") as caught:
        SmtpMailer(url, SENDER)
    assert "user:password@mail" not in str(caught.value)


def test_the_settings_choose_the_mailer(tmp_path):
    assert isinstance(mailer_from(None, tmp_path, SENDER), FolderMailer)
    assert isinstance(mailer_from("smtps://mail.example.com", tmp_path, SENDER), SmtpMailer)
    for sender in ("", "Veza", "Veza <veza>"):
        with pytest.raises(ValueError, match="Not an e-mail address"):
            mailer_from(None, tmp_path, sender)
