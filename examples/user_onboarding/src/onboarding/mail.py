"""The user's mails. A real application hands them to its mail provider; this one keeps an outbox table."""

from onboarding.database import User, save_mail


def send(user: User, kind: str, subject: str) -> str:
    """Send a mail, unless the user has got one of this kind. Returns what was done."""
    if not save_mail(user, kind, subject):
        return f"{user['email']} already has the {kind} mail"
    print(f"mail to {user['email']}: {subject}")
    return f"sent to {user['email']}"
