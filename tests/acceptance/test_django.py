"""`examples/django`, as its README says to run it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.documents import blocks, missing
from tests.examples import EXAMPLES, ExampleProject, free_port
from tests.projects import clean_environment, defer, eventually

pytestmark = pytest.mark.acceptance

ADDRESS = "http://127.0.0.1:8000"  # in the README


@pytest.fixture
def project(tmp_path: Path) -> ExampleProject:
    project = ExampleProject("django", tmp_path / "project")
    project.shell("python manage.py migrate")
    return project


@pytest.fixture
def client(project: ExampleProject) -> Iterator[httpx.Client]:
    """The web server, running."""
    port = free_port()
    command = [sys.executable, "manage.py", "runserver", "--noreload", str(port)]
    with (project.root / "web.log").open("w") as log:
        web = subprocess.Popen(command, cwd=project.root, env=clean_environment(), stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                eventually(lambda: _answers(client) or web.poll() is not None, "the web server answers")
                assert web.poll() is None, (project.root / "web.log").read_text()
                yield client
        finally:
            web.terminate()
            web.wait(10)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code < 500
    except httpx.TransportError:
        return False


def test_the_readme_shows_what_its_commands_print(project: ExampleProject, client: httpx.Client) -> None:
    page = [block for block in blocks(project.root / "README.md") if block.language in ("sh", "text")]
    printed = ""
    with project.dev("--port", "0") as dev:
        dev.ready()
        for block in page[1:]:
            if block.language == "sh":
                printed = project.shell(block.text.replace(ADDRESS, str(client.base_url).rstrip("/")))
                project.wait_for("@last", "succeed")
            else:
                lacking = missing(block.text, printed)
                assert not lacking, f"README.md:{block.line}: not printed: {lacking}\n{printed}"
    assert len(list((project.root / "mails").iterdir())) == 1


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_executions_use_the_models_in_one_process_without_leaving_anything(
    project: ExampleProject, client: httpx.Client, start: str
) -> None:
    settings = project.root / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace("[tool.defer]", f'[tool.defer]\nworker_start = "{start}"')
    )
    with project.dev("--port", "0") as dev:
        dev.ready()
        for number in range(4):
            answer = client.post("/orders", data={"email": "ada@example.com", "item": "x", "cents": number})
            assert answer.status_code == 201, answer.text
            project.wait_for("@last", "succeed")
        results = [project.json("result", row["id"]) for row in project.json("list")["data"]]
        assert results == ["sent to ada@example.com"] * 4
        assert "left a thread" not in dev.output


def test_its_hooks_are_those_that_init_writes(project: ExampleProject, tmp_path: Path) -> None:
    for name in ("defer", "shop"):
        (tmp_path / "new" / name).mkdir(parents=True)
    for name in ("manage.py", "shop/settings.py"):
        (tmp_path / "new" / name).write_text((project.root / name).read_text())
    assert defer(tmp_path / "new", "init").returncode == 0
    for name in ("shop/defer_hooks.py", "defer/__init__.py"):
        assert (tmp_path / "new" / name).read_text() == (EXAMPLES / "django" / name).read_text()
    assert "pyproject.toml" not in project.run("init").stdout  # it has all that init would add


def test_its_models_and_migrations_agree_and_check_finds_nothing(project: ExampleProject) -> None:
    project.shell("python manage.py makemigrations --check --dry-run")
    assert project.json("check") == {"findings": []}
