"""The example projects, as their READMEs say to run them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.documents import blocks, missing
from tests.examples import EXAMPLES, ExampleProject, free_port, served
from tests.projects import clean_environment

pytestmark = pytest.mark.acceptance


@contextmanager
def onboarding(root: Path) -> Iterator[tuple[ExampleProject, httpx.Client]]:
    """The emulator and the web application, both running."""
    project = ExampleProject("user_onboarding", root)
    port = free_port()
    (root / ".env").write_text(f"HUBSPOT_URL=http://127.0.0.1:{port}/hubspot\n")
    with project.dev("--port", str(free_port())) as dev, served(root, "onboarding.web:app", port) as client:
        dev.ready()
        yield project, client


def sign_up(client: httpx.Client, name: str, email: str) -> dict[str, Any]:
    answer = client.post("/users", json={"name": name, "email": email})
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def mails(client: httpx.Client, user: dict[str, Any]) -> list[str]:
    found: list[str] = client.get(f"/users/{user['id']}").json()["mails"]
    return found


def test_each_user_who_opted_in_gets_one_mail_and_the_others_none(
    tmp_path: Path,
) -> None:
    example = EXAMPLES / "weekly_recommendations"
    before = {path for path in example.rglob("*") if "__pycache__" not in path.parts}

    done = subprocess.run(
        [sys.executable, str(example / "demo.py")],
        env=clean_environment() | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for page in (EXAMPLES.parent / "README.md", example / "README.md"):
        shown = next(block for block in blocks(page) if "All as it should be." in block.text)
        assert not missing(shown.text, done.stdout), f"{page} shows another output"
    assert {path for path in example.rglob("*") if "__pycache__" not in path.parts} == before
    assert not list(tmp_path.glob("defer-demo-*"))


def test_the_demo_fails_with_the_reason_when_the_emulator_cannot_start(tmp_path: Path) -> None:
    example = tmp_path / "weekly_recommendations"
    shutil.copytree(EXAMPLES / "weekly_recommendations", example)
    with (example / "pyproject.toml").open("a") as settings:
        settings.write("\n[tool.defer]\nmax_concurency = 5\n")

    done = subprocess.run(
        [sys.executable, str(example / "demo.py")],
        env=clean_environment() | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "The demo failed: defer dev ended with exit code" in done.stderr
    assert "max_concurrency" in done.stderr
    assert "Traceback" not in done.stderr


def test_onboarding_imports_and_welcomes_then_flags_and_sends_the_tutorials_a_day_later(
    tmp_path: Path,
) -> None:
    with onboarding(tmp_path / "project") as (project, client):
        started = sign_up(client, "Ada", "ada@example.com")

        workflow = project.wait_for(started["onboarding"], "succeed")
        assert workflow["metadata"] == {"user": str(started["user"]["id"])}
        assert client.get(f"/users/{started['user']['id']}").json() == {
            **started["user"],
            "onboarded": True,
            "contacts": 7,
            "mails": ["welcome"],
        }
        tutorials = project.the_only("send_tutorials_email_if_no_actions", "created")
        due = datetime.fromisoformat(tutorials["scheduled_at"].replace("Z", "+00:00"))
        assert abs(due - datetime.now(timezone.utc) - timedelta(days=1)) < timedelta(minutes=1)
        assert tutorials["executed_by"] == workflow["id"]

        project.run("reschedule", tutorials["id"])
        project.wait_for(tutorials["id"], "succeed")
        assert mails(client, started["user"]) == ["welcome", "tutorials"]


def test_a_user_who_acts_gets_no_tutorials(tmp_path: Path) -> None:
    with onboarding(tmp_path / "project") as (project, client):
        started = sign_up(client, "Ada", "ada@example.com")
        project.wait_for(started["onboarding"], "succeed")
        client.post(f"/users/{started['user']['id']}/actions").raise_for_status()

        tutorials = project.the_only("send_tutorials_email_if_no_actions", "created")
        project.run("reschedule", tutorials["id"])
        project.wait_for(tutorials["id"], "succeed")

        assert project.json("result", tutorials["id"]) == "not needed: 1 actions"
        assert mails(client, started["user"]) == ["welcome"]


def test_a_user_without_hubspot_is_onboarded_too(tmp_path: Path) -> None:
    with onboarding(tmp_path / "project") as (project, client):
        started = sign_up(client, "Bo", "bo@no-hubspot.example")

        project.wait_for(started["onboarding"], "succeed")
        contacts = project.the_only("import_contacts_from_hubspot", "failed")

        assert contacts["attempt"] == 3
        assert "404" in project.json("result", started["onboarding"])["contacts"]
        assert client.get(f"/users/{started['user']['id']}").json()["onboarded"] is True
        assert mails(client, started["user"]) == ["welcome"]


@pytest.mark.parametrize(
    "name", ["weekly_recommendations", "user_onboarding", "document_processing", "django"]
)
def test_the_own_tests_of_an_example_pass(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / name,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout + done.stderr
