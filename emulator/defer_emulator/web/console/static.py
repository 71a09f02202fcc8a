"""Our style sheet, scripts and icons. Pages name them under their version, so that browsers keep them."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response

from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.errors import Refused

_FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}


@lru_cache(maxsize=1)
def version() -> str:
    """Changes with any of the files."""
    digest = sha256()
    for name, content in _files().items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:12]


def static_url(name: str) -> str:
    """Where a page finds a file. Scripts that import each other by relative paths stay in one version."""
    if name not in _files():
        raise LookupError(f"there is no file {name} in {_FOLDER}")
    return f"/static/{version()}/{name}"


async def show(request: PageRequest) -> Response:
    """`/static/<version>/<name>`, kept for ever, and `/static/<name>`, checked each time."""
    wanted = request.params.get("version")
    name = request.params["name"]
    content = _files().get(name)
    if content is None:
        raise Refused(404, "not_found", f"there is no file {name[:100]}")
    tag = f'"{version()}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=31536000, immutable" if wanted == version() else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": _TYPES[Path(name).suffix],
    }
    if request.headers.get(b"if-none-match", b"").decode("latin-1") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers)
