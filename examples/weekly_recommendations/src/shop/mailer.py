"""E-mail by SMTP."""

import os
import smtplib
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import urlsplit

from shop.catalogue import Film
from shop.users import User

SENDER = "Film Shop <hello@shop.example>"


def recommendation_mail(user: User, films: Sequence[Film], week: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = SENDER
    mail["To"] = user["email"]
    mail["Subject"] = f"{user['name']}, {len(films)} films for your week"
    # The same for each try, so that a mail which was sent twice is known as one.
    mail["Message-ID"] = f"<recommendations.{week}.{user['id']}@shop.example>"
    titles = "\n".join(f"- {film.title} ({film.year}), {film.score:.1f} of 10" for film in films)
    mail.set_content(f"Hello {user['name']},\n\nyou may like these:\n\n{titles}\n\nYour film shop\n")
    return mail


def send(mail: EmailMessage) -> None:
    """Hand a mail to the server at `SMTP_URL`. Raises `smtplib.SMTPException`, `OSError`."""
    server = urlsplit(os.environ.get("SMTP_URL", "smtp://127.0.0.1:8025"))
    host, port = server.hostname or "127.0.0.1", server.port or 25
    # Named, because smtplib would else ask the network for this machine's name, which may take seconds.
    with smtplib.SMTP(host, port, local_hostname="shop.example", timeout=20) as connection:
        connection.send_message(mail)
