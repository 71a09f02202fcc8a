"""The snippets of docs/reference.md and docs/docker.md do what they say; docs/dependencies.md is complete."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.documents import blocks
from tests.projects import TempProject

DOCS = Path(__file__).parents[2] / "docs"
CONVERT = """
from defer_client import defer


@defer
async def convert(name: str) -> str:
    if not name.endswith(".odt"):
        raise ValueError(f"{name} is no document")
    return f"{name}.pdf"
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def snippet(mentions: str) -> str:
    """The Python block of reference.md that imports it."""
    (found,) = (
        block.text
        for block in blocks(DOCS / "reference.md")
        if block.language == "python" and f"from {mentions} import" in block.text
    )
    return found


def web_application(root: Path, monkeypatch: pytest.MonkeyPatch, framework: str) -> Any:
    """The `app` of the snippet for that framework, inside a package beside its `defer/` folder."""
    package = root / f"shop_in_{framework}"
    (package / "defer").mkdir(parents=True)
    for folder in (package, package / "defer"):
        (folder / "__init__.py").touch()
    (package / "defer" / "convert.py").write_text(CONVERT)
    (package / "web.py").write_text(snippet(framework))
    monkeypatch.syspath_prepend(root)
    monkeypatch.setenv("DEFER_BACKEND", "inline")
    return importlib.import_module(f"{package.name}.web").app


@pytest.mark.parametrize("page", ["reference.md", "docker.md", "frameworks.md"])
def test_every_python_block_is_python(page: str) -> None:
    for block in blocks(DOCS / page):
        if block.language == "python":
            ast.parse(block.text, f"{page}:{block.line}")


@pytest.mark.anyio
async def test_the_route_in_fastapi_starts_a_function_and_shows_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = httpx.ASGITransport(web_application(tmp_path, monkeypatch, "fastapi"))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:

        async def shown(execution_id: str) -> Any:
            return (await client.get("/api/convert", params={"id": execution_id})).json()

        started = (await client.post("/api/convert", json=["a.odt"])).json()
        assert await shown(started["id"]) == {
            "id": started["id"],
            "state": "succeed",
            "result": "a.odt.pdf",
        }
        assert (await client.get("/api/convert", params={"id": "unknown"})).status_code == 404
        made = await client.post("/invoices/7/pdf")
        assert made.status_code == 202
        assert (await shown(made.json()["id"]))["result"] == "invoice-7.odt.pdf"


def test_the_views_in_flask_start_a_function_and_show_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = web_application(tmp_path, monkeypatch, "flask").test_client()
    started = client.post("/api/convert", json=["a.odt"]).get_json()
    shown = client.get(f"/api/convert/{started['id']}").get_json()
    assert shown == {"id": started["id"], "state": "succeed", "result": "a.odt.pdf"}
    failed = client.post("/api/convert", json=["a.txt"]).get_json()
    shown = client.get(f"/api/convert/{failed['id']}").get_json()
    assert (shown["state"], shown["result"]["message"]) == ("failed", "a.txt is no document")
    assert client.get("/api/convert/unknown").status_code == 404


def compose() -> dict[str, Any]:
    (text,) = (block.text for block in blocks(DOCS / "docker.md") if block.language == "yaml")
    services: dict[str, Any] = yaml.safe_load(text.replace("${DEFER_TOKEN:-let-me-in}", "let-me-in"))[
        "services"
    ]
    return services


def test_the_services_of_the_compose_file_belong_together() -> None:
    services = compose()
    assert set(services) == {"emulator", "application"}
    environment = services["application"]["environment"]
    assert environment["DEFER_ENDPOINT"] == "http://emulator:3337"
    assert environment["DEFER_TOKEN"] in shlex.split(services["emulator"]["command"])


@pytest.mark.acceptance
@pytest.mark.parametrize("name", ["emulator", "host.docker.internal"])
def test_the_emulator_of_the_page_answers_to_the_name_that_containers_call_it_by(
    tmp_path: Path, name: str
) -> None:
    if name == "emulator":
        command = compose()["emulator"]["command"]
    else:
        (command,) = (
            block.text
            for block in blocks(DOCS / "docker.md")
            if block.language == "sh" and block.text.startswith("defer dev")
        )
    options = shlex.split(command.replace("--port 3337", ""))
    assert options[:2] == ["defer", "dev"]
    project = TempProject(tmp_path / "shop", {"convert": CONVERT})
    with project.dev(*options[2:], "--port", "0") as dev:
        dev.ready()
        body = {"function_name": "convert", "function_arguments": ["a.odt"]}
        call = {"headers": {"Host": f"{name}:3337"}, "json": body}
        with httpx.Client(base_url=dev.url, trust_env=False) as client:
            url = "/public/v2/executions"
            assert client.put(url, auth=("", "let-me-in"), **call).status_code == 201
            assert client.put(url, auth=("", "wrong"), **call).status_code == 401
            call["headers"] = {"Host": "evil.example"}
            assert client.put(url, auth=("", "let-me-in"), **call).status_code == 403


def test_every_dependency_is_explained() -> None:
    explained = (DOCS / "dependencies.md").read_text(encoding="utf-8")
    project = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.findall(r'"([A-Za-z][\w-]*)[<>=]+\d', project)
    from_npm = [
        name
        for manifest in DOCS.parent.glob("tests/*/package.json")
        for name in json.loads(manifest.read_text(encoding="utf-8"))["dependencies"]
    ]
    assert {"typer", "mcp", "pytest"} <= set(declared)

    assert [name for name in {*declared, *from_npm} if name not in explained] == []
