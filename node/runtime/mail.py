"""One plain e-mail through the server of the configuration. Blocks: called from a thread. No queue, no retries.

smtplib and email are loaded by the first notice: an idle node has neither (DESIGN §3.8).
"""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.runtime.config import MailConfig, load_secret

if TYPE_CHECKING:
    import smtplib

TIMEOUT: Final = 20.0  # seconds for each step


class Sent(Enum):
    """`maybe`: the server had it in hand when something failed, so it is not offered a second time today."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


def send(config: MailConfig, to: str, subject: str, text: str) -> Sent:
    """Hands one message over. `to` is an address that was checked; never raises for what the server does.

    Raises config-missing, keys-exposed for the password file.
    """
    import smtplib
    from email.message import EmailMessage

    password = load_secret(Path(config.password_file)) if config.password_file else None
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = config.sender, to, subject
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    try:
        server = _connect(config, password)
    except (OSError, smtplib.SMTPException):
        return Sent.NO
    try:
        server.send_message(message, config.sender, [to])
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused):
        return Sent.NO
    except (OSError, smtplib.SMTPException):
        return Sent.MAYBE
    finally:
        server.close()
    return Sent.YES


def _connect(config: MailConfig, password: str | None) -> "smtplib.SMTP":
    import smtplib
    import ssl

    if config.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            config.host, config.port, timeout=TIMEOUT, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(config.host, config.port, timeout=TIMEOUT)
    try:
        if config.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if config.user and password is not None:
            server.login(config.user, password)
    except BaseException:
        server.close()
        raise
    return server
