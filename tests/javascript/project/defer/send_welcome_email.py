from __future__ import annotations

from typing import Any

from defer_client import defer


@defer
async def send_welcome_email(user: dict[str, Any], subject: str | None = None) -> dict[str, Any]:
    print(f"mail to {user['name']}")
    return {"to": user["name"], "subject": subject, "tags": user.get("tags", [])}
