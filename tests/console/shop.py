"""The project whose console is looked at: functions that succeed, fail, last, wait, print hostile text."""

from __future__ import annotations

from pathlib import Path

from tests.projects import TempProject

MAIL = '''
from typing import Literal

from defer_client import defer


@defer(concurrency=4, retry=2)
async def send_mail(
    to: str,
    subject: str = "Hello",
    copies: int = 1,
    urgent: bool = False,
    kind: Literal["text", "html"] = "text",
    tags: list[str] | None = None,
) -> dict[str, object]:
    """Sends one mail. It is only a test: nobody gets it."""
    print(f"mail to {to}: {subject}")
    return {"to": to, "subject": subject, "copies": copies, "urgent": urgent, "kind": kind, "tags": tags}
'''
FAILS = """
async def fails(number: int = 0) -> None:
    print("about to fail")
    raise ValueError(f"no user {number}")
"""
LASTS = """
import asyncio

async def lasts(seconds: float = 600.0) -> str:
    print("it begins", flush=True)
    await asyncio.sleep(seconds)
    return "done"
"""
ORDER = '''
import asyncio

from defer_client import await_result, defer

from .send_mail import send_mail


@defer
async def order(customers: list[str]) -> int:
    """Writes to each of them, and waits for all."""
    sent = await asyncio.gather(*(await_result(send_mail)(one) for one in customers))
    return len(sent)
'''
NIGHTLY = '''
from defer_client import defer


@defer.cron("0 3 * * *")
async def nightly() -> None:
    """Cleans up while everybody sleeps."""
    print("clean")
'''
FREQUENT = """
from defer_client import defer


@defer.cron("*/5 * * * *")
async def frequent() -> None:
    print("tick")
"""
BROKEN = """
from defer_client import defer
from no_such_library import nothing


@defer
async def broken() -> None:
    nothing()
"""
# What a page must show as text and nothing else: markup, scripts, addresses, escapes, bytes that are no text.
MARKUP = (
    "</script></textarea></title></pre><script>document.title='owned';alert(1)</script>"
    '<img src=x onerror="alert(2)"><svg onload=alert(3)><style>body{display:none}</style>'
    '" onmouseover=alert(4) \'{{ 7 * 7 }} <a href="javascript:alert(5)">x</a>'
    "<iframe src=https://example.com></iframe>&lt;b&gt;"
)
HOSTILE = f"""
import sys

MARKUP = {MARKUP!r}

async def hostile(text: str = "", number: int = 0) -> dict[str, str]:
    print(MARKUP)
    print("\\x1b[31mred\\x1b[0m \\x1b[1mbold\\x1b[0m")
    print("\\x1b]0;title\\x07\\x1b[2Jcleared \\x1b]8;;javascript:alert(6)\\x07link")
    print("\\u202egnp.exe \\u200b \\ufeff")
    print("long " + "x" * 1_000_000)
    sys.stdout.flush()
    sys.stdout.buffer.write(b"bytes \\xff\\xfe\\x00\\x01 after\\n")
    sys.stdout.buffer.write(b"\\x1b[35m" * 20_000 + b"many colours\\n")
    sys.stdout.flush()
    print(MARKUP, file=sys.stderr)
    if number:
        raise RuntimeError(MARKUP + "\\x1b[31m" + "y" * 200_000)
    return {{MARKUP: MARKUP * 2_000}}
"""

FUNCTIONS = {
    "send_mail": MAIL,
    "fails": FAILS,
    "lasts": LASTS,
    "order": ORDER,
    "nightly": NIGHTLY,
    "frequent": FREQUENT,
    "broken": BROKEN,
    "hostile": HOSTILE,
}


def shop(root: Path, *names: str) -> TempProject:
    """The project with those functions, or all."""
    return TempProject(root, {name: FUNCTIONS[name] for name in names or FUNCTIONS})
