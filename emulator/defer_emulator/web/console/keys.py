"""The session of a browser that gave the token, and the secret that each form carries.

Both are computed from the project's id and the token, which no other site can know: pages stay valid when
the emulator restarts, and nothing is stored.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256

LIFE = 30 * 24 * 3600  # seconds for which a browser keeps the session


class Keys:
    def __init__(self, project_id: str, token: str | None) -> None:
        self._key = f"{project_id}\0{token or ''}".encode()
        self.csrf = self._sign("form")
        self._session = self._sign("session")
        # Browsers send the cookies of all ports of a host to each: other emulators need other names.
        self._cookie = f"defer_session_{self._sign('name')[:8]}"

    def is_session(self, cookies: Mapping[str, str]) -> bool:
        return _equal(cookies.get(self._cookie, ""), self._session)

    def is_csrf(self, given: str) -> bool:
        return _equal(given, self.csrf)

    def set_session(self) -> str:
        """The value of `Set-Cookie` for a browser that gave the token."""
        return f"{self._cookie}={self._session}; Max-Age={LIFE}; Path=/; HttpOnly; SameSite=Strict"

    def end_session(self) -> str:
        return f"{self._cookie}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict"

    def _sign(self, purpose: str) -> str:
        return hmac.new(self._key, purpose.encode(), sha256).hexdigest()


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
