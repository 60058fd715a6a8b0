"""Mail: written from templates, sent by SMTP or laid down as files."""

import asyncio
import os
import ssl
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
import msgspec

from veza.core import clock

if TYPE_CHECKING:
    import jinja2

# How long an answer is waited for.
_TIMEOUT_SECONDS = 20
# That to the mail itself: a server may look into it for minutes, and whoever has left by then does not hear
# that it was taken, and sends it again (RFC 1047). The time is that of RFC 5321, 4.5.3.2.6.
_TAKING_SECONDS = 600
_SCHEMES = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_FORM = "smtp://, smtp+starttls:// or smtps://, then [user:password@]host[:port]"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PERMANENT = range(500, 600)
# An address is one word, and a word that is broken off, or encoded, is no address any more.
_POLICY = SMTP.clone(max_line_length=998)


class MailDelayed(Exception):
    """The mail could not be sent now; it may be later."""


class MailRefused(Exception):
    """The receiving server will never take this mail."""


class Mail(msgspec.Struct, frozen=True):
    """One letter in text and HTML. Raises ValueError unless it has one address and a subject of one line.

    What nobody needs has an address by which a mail program ends it with one click (RFC 8058).
    """

    to: str
    subject: str
    text: str
    html: str
    unsubscribe: str = ""

    def __post_init__(self) -> None:
        _address("", self.to)
        if not self.subject.isprintable():
            raise ValueError("The subject of a mail must be a single line.")


class Mailer(Protocol):
    """Whatever takes mails."""

    async def send(self, mail: Mail, *, key: UUID) -> None:
        """Send one mail; a repeat under the same key is recognisable as the same mail by its Message-ID.

        Raises MailDelayed or MailRefused.
        """


def _one_line(value: Any) -> Any:
    """What strangers chose (a name, an address) must not begin a paragraph of ours."""
    return " ".join(value.split()) if type(value) is str else value


@cache
def _templates() -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415 - a server that sends no mail starts without it

    return jinja2.Environment(
        loader=jinja2.PackageLoader("veza", "mails"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        finalize=_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, *, to: str, public_url: str, **context: Any) -> Mail:
    """The mail of this name, filled in; all its links begin with ``public_url``, which is the settings'.

    The text template's first line is the subject. Raises jinja2.UndefinedError when a name is lacking.
    """
    context["public_url"] = public_url.rstrip("/")
    head, _, text = _templates().get_template(f"{template}.txt").render(context).partition("\n")
    subject = head.removeprefix("Subject: ")
    html = _templates().get_template(f"{template}.html").render(context, subject=subject)
    return Mail(to, subject, text.strip() + "\n", html, context.get("unsubscribe", ""))


class SmtpMailer:
    """Sends by SMTP: ``smtp://``, ``smtp+starttls://`` or ``smtps://``, with ``user:password@`` if need be.

    Certificates are checked. Raises ValueError when the URL is wrong, or would send a password in the clear.
    """

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"The SMTP URL must be {_FORM}.")
        if parts.scheme == "smtp" and parts.password and parts.hostname not in _LOOPBACK:
            raise ValueError(
                "smtp:// would send the password in the clear: use smtp+starttls:// or smtps://."
            )
        self._sender = _address(*parseaddr(sender))
        self._host, self._port = parts.hostname, parts.port or _SCHEMES[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._scheme = parts.scheme
        self._tls = ssl.create_default_context() if parts.scheme != "smtp" else None

    async def send(self, mail: Mail, *, key: UUID) -> None:
        """Hand the mail to the server; once that took it, it is sent. Raises MailDelayed or MailRefused."""
        try:
            await self._send(mail, _compose(mail, self._sender, key))
        except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
            kind = MailRefused if error.code in _PERMANENT else MailDelayed
            raise kind(_reason(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            # A refused password or sender is for the operator to mend, and the mail to wait for.
            raise MailDelayed(_reason(error)) from error

    async def check(self) -> None:
        """Sign in to the server as for a mail, and leave without one. Raises MailDelayed."""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._client():
                pass
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailDelayed(_reason(error)) from error

    async def _send(self, mail: Mail, message: bytes) -> None:
        client = self._client()
        try:
            await client.connect()
            await client.mail(self._sender.addr_spec)
            await client.rcpt(mail.to)
            await client.data(message, timeout=_TAKING_SECONDS)
            _part(client)
        except aiosmtplib.SMTPResponseException:
            _part(client)
            raise
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            # Naming ourselves by the sender's domain spares a look-up of our own name, which may hang.
            local_hostname=self._sender.domain,
            timeout=_TIMEOUT_SECONDS,
            use_tls=self._scheme == "smtps",
            start_tls=self._scheme == "smtp+starttls",
            tls_context=self._tls,
        )


class FolderMailer:
    """Lays each mail down as ``<key>.eml``, readable by the server's user alone; UUIDv7 keys sort by time."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = _address(*parseaddr(sender))

    async def send(self, mail: Mail, *, key: UUID) -> None:
        """Write the file whole or not at all; a repeat replaces it. Raises MailDelayed."""
        try:
            await asyncio.to_thread(self._write, f"{key}.eml", _compose(mail, self._sender, key))
        except OSError as error:
            raise MailDelayed(_reason(error)) from error

    def _write(self, name: str, message: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{name}.{os.urandom(4).hex()}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._folder / name)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def mailer_from(smtp_url: str | None, mail_dir: Path, sender: str) -> Mailer:
    """The mailer of these settings: SMTP where there is a server, else files. Raises ValueError."""
    return SmtpMailer(smtp_url, sender) if smtp_url else FolderMailer(mail_dir, sender)


def _address(name: str, spec: str) -> Address:
    try:
        address = Address(name, addr_spec=spec)
    except Exception as error:  # the library's parser lets errors of every kind through
        raise ValueError(f"Not an e-mail address: {spec!r}.") from error
    if not (address.username and address.domain and spec.isprintable() and name.isprintable()):
        raise ValueError(f"Not an e-mail address: {spec!r}.")
    return address


def _compose(mail: Mail, sender: Address, key: UUID) -> bytes:
    """The mail as it goes over the wire (RFC 5322; Auto-Submitted as RFC 3834 has it)."""
    message = EmailMessage(_POLICY)
    message["From"] = sender
    message["To"] = _address("", mail.to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{key}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def _part(client: aiosmtplib.SMTP) -> None:
    """Take leave, as is polite, and wait for no answer: told to stop meanwhile, one would send it again."""
    if client.protocol is not None:
        with suppress(aiosmtplib.SMTPException):
            client.protocol.write(b"QUIT\r\n")


def _reason(error: BaseException) -> str:
    """For the log, on one line; servers answer with whatever they like."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
