"""What a browser remembers of how the console looks."""

from __future__ import annotations

from starlette.responses import Response

from defer_emulator.web.console.rendering import THEME_COOKIE, THEMES
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.console.responses import go_back

YEAR = 365 * 24 * 3600  # seconds


async def set_theme(request: PageRequest) -> Response:
    """`light`, `dark`, or anything else: as the system has it."""
    theme = request.posted("theme")
    value, age = (theme, YEAR) if theme in THEMES else ("", 0)
    response = go_back(request)
    response.headers.append(
        "Set-Cookie", f"{THEME_COOKIE}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict"
    )
    return response
