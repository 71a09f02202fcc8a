"""`defer mcp`, asked by the protocol's own client over stdio."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from tests.projects import DEFER, TempProject, clean_environment

pytestmark = pytest.mark.acceptance

FUNCTIONS = {
    "add": "async def add(a: int, b: int) -> int:\n    print('adding')\n    return a + b",
    "broken": "async def broken() -> None:\n    raise ValueError('no such user')",
}
BASE = {"functions", "list", "show", "logs", "why", "wait", "clock", "run", "rerun"}
WRITES = {"cancel", "reschedule", "rerun_many", "pause", "resume", "move_clock"}


class Agent:
    def __init__(self, client: Any) -> None:
        self.client = client

    async def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in (await self.client.list_tools()).tools}

    async def does(self, tool: str, **arguments: Any) -> Any:
        answer = await self.client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content
        assert json.loads(answer.content[0].text) == answer.structured_content
        return answer.structured_content

    async def fails(self, tool: str, **arguments: Any) -> str:
        answer = await self.client.call_tool(tool, arguments)
        assert answer.is_error
        return str(answer.content[0].text)


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path / "shop", FUNCTIONS)


def ask(project: TempProject, talk: Callable[[Agent], Awaitable[None]], *options: str) -> None:
    async def main() -> None:
        server = StdioServerParameters(
            command=DEFER, args=["mcp", *options], cwd=project.root, env=clean_environment()
        )
        async with Client(stdio_client(server)) as client:
            await talk(Agent(client))

    asyncio.run(asyncio.wait_for(main(), 60))


def test_an_agent_runs_waits_and_finds_out_why(project: TempProject) -> None:
    async def talk(agent: Agent) -> None:
        tools = await agent.tools()
        assert set(tools) == BASE
        assert tools["list"].annotations.read_only_hint
        assert not tools["run"].annotations.destructive_hint
        assert [row["name"] for row in (await agent.does("functions"))["data"]] == ["add", "broken"]
        execution = await agent.does("run", function="add", arguments={"a": 1, "b": 2}, metadata={"k": "v"})
        ended = await agent.does("wait", id=execution["id"])
        assert (ended["execution"]["state"], ended["result"], ended["timed_out"]) == ("succeed", 3, False)
        logs = await agent.does("logs", id=execution["id"][-8:], grep="ADD")
        assert [line["message"] for line in logs["data"]] == ["adding"]
        again = await agent.does("rerun", id="@last")
        assert again["rerun_of"] == execution["id"]
        await agent.does("wait", id=again["id"])
        failed = await agent.does("run", function="broken")
        ended = await agent.does("wait", id=failed["id"])
        assert ended["failure"]["message"] == "no such user"
        shown = await agent.does("show", id="@last-failed")
        assert shown["attempts"][0]["error"]["name"] == "ValueError"
        assert shown["why"]["reason"] == "failed"
        assert (await agent.does("why", id=failed["id"]))["reason"] == "failed"
        listed = await agent.does("list", state=["failed"], function=["broken"], since="1h")
        assert [row["id"] for row in listed["data"]] == [failed["id"]]
        assert (await agent.does("clock"))["mode"] == "running"

    with project.dev("--port", "0").ready():
        ask(project, talk)


def test_errors_are_answers_with_the_next_step(project: TempProject) -> None:
    async def talk(agent: Agent) -> None:
        assert "did you mean add?" in await agent.fails("run", function="ad", arguments=[1, 2])
        assert "missing a required argument" in await agent.fails("run", function="add", arguments=[1])
        assert "no execution" in await agent.fails("show", id="abcdabcd")
        assert "1 to 1000" in await agent.fails("list", limit=0)
        execution = await agent.does("run", function="add", arguments=[1, 2])
        assert "defer dev" in execution["note"]
        waited = await agent.does("wait", id=execution["id"], timeout=0.1)
        assert (waited["timed_out"], waited["execution"]["state"]) == (True, "created")
        for name in WRITES:
            assert "--allow-writes" in await agent.fails(name)

    ask(project, talk)


def test_what_changes_things_has_to_be_allowed(project: TempProject) -> None:
    async def talk(agent: Agent) -> None:
        tools = await agent.tools()
        assert set(tools) == BASE | WRITES
        assert all(tools[name].annotations.destructive_hint for name in WRITES)
        ids = [
            (await agent.does("run", function="add", arguments=[1, n], delay="1h"))["id"] for n in range(3)
        ]
        assert "give ids, or a filter" in await agent.fails("cancel")
        looked = await agent.does("cancel", function=["add"], dry_run=True)
        assert looked == {"dry_run": True, "matched": 3, "ids": ids}
        moved = await agent.does("reschedule", ids=[ids[0]], when="2h")
        assert moved["data"][0]["id"] == ids[0]
        done = await agent.does("cancel", ids=[*ids[:2], "abcdabcd"])
        assert done["summary"] == {"matched": 3, "done": 2, "failed": 1}
        assert done["failed"][0]["error"] == "not_found"
        assert (await agent.does("rerun_many", state=["cancelled"]))["summary"]["done"] == 2
        assert (await agent.does("pause"))["paused"]
        assert not (await agent.does("resume"))["paused"]
        assert "advance needs" in await agent.fails("move_clock", action="advance")
        assert (await agent.does("move_clock", action="advance", to="1m"))["offset"] > 59
        assert (await agent.does("move_clock", action="reset"))["offset"] == 0

    ask(project, talk, "--allow-writes")


def test_nothing_but_the_protocol_is_on_stdout(project: TempProject) -> None:
    done = project.run("mcp")  # stdin is at its end: it stops at once
    assert done.stdout == ""
    assert project.run("mcp", "--project", "/nowhere", check=False).returncode == 6


@pytest.mark.parametrize(
    ("version", "says"), [(None, "which is not installed"), ("1.30.0", "but 1.30.0 is installed")]
)
def test_without_the_package_it_says_how_to_get_it(
    project: TempProject, tmp_path: Path, version: str | None, says: str
) -> None:
    hidden = (
        "import importlib.metadata as m, sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('mcp', 'mcp_types'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "real = m.version\n"
        "def version(name):\n"
        f"    found = {version!r}\n"
        "    if name == 'mcp' and found is None: raise m.PackageNotFoundError(name)\n"
        "    return found if name == 'mcp' else real(name)\n"
        "m.version = version\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hidden)
    done = subprocess.run(
        [DEFER, "mcp"],
        cwd=project.root,
        env=clean_environment() | {"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "pip install 'defer-cli[mcp]'" in done.stderr
