"""The snippets of docs/frameworks.md do what the page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from defer_cli.templates import templates_folder
from tests.documents import blocks
from tests.projects import TempProject, clean_environment

pytestmark = pytest.mark.acceptance

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
POST = {
    "fastapi": """
import asyncio, httpx
from web import app

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        return (await client.post("/users", params={"name": "Ada"})).json()["execution"]

print(asyncio.run(main()))
""",
    "flask": """
from web import app
print(app.test_client().post("/users/Ada").get_json()["execution"])
""",
}


def snippet(mentions: str) -> str:
    """The Python block of the page that has these words."""
    (found,) = (block.text for block in blocks(PAGE) if block.language == "python" and mentions in block.text)
    return found


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_a_route_stores_the_call(framework: str, tmp_path: Path) -> None:
    project = TempProject(tmp_path, {"send_welcome": "async def send_welcome(name: str) -> str: ..."})
    (tmp_path / "web.py").write_text(snippet(f"from {framework} import"))
    done = subprocess.run(
        [sys.executable, "-c", POST[framework]],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert project.execution(done.stdout.strip())["function_name"] == "send_welcome"


def test_the_hooks_for_django_are_those_that_init_writes() -> None:
    written = (templates_folder() / "django" / "defer_hooks.py").read_text()
    shown = snippet("def after_fork").replace("mysite.settings", "settings_module")
    assert shown == written[written.index("import os") :]
