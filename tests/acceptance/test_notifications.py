"""Failures are told: to a server that plays Slack, by the installed `defer`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.projects import TempProject, eventually
from tests.slack import PATH, Slack

pytestmark = pytest.mark.acceptance


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    project = TempProject(
        tmp_path / "shop",
        {
            "works": "async def works() -> None: ...",
            "fails": "async def fails(number: int = 0) -> None:\n    raise ValueError(f'no user {number}')",
        },
    )
    (project.root / "defer.toml").write_text('notifications = "env:SLACK_URL"\n')
    return project


def told(slack: Slack) -> list[str]:
    return [json.loads(body)["blocks"][0]["text"]["text"] for _, _, body in slack.got]


def outbox(project: TempProject) -> list[Any]:
    found: list[Any] = project.json("notifications")["data"]
    return found


def test_a_failure_arrives_at_slack_and_its_address_is_shown_nowhere(
    project: TempProject, slack: Slack
) -> None:
    with project.dev("--send-notifications", SLACK_URL=slack.url).ready() as dev:
        execution = project.call("fails", "7")
        project.wait_for(project.call("works"), "succeed")
        eventually(lambda: slack.got, "the message arrives")
        (message,) = eventually(
            lambda: [one for one in outbox(project) if one["state"] == "sent"], "it is sent"
        )
        with_link = f"{dev.url}/executions/{execution}"
    ((path, _, body),) = slack.got
    assert path == PATH
    assert json.loads(body) == message["body"]
    assert "no user 7" in body.decode() and with_link in body.decode()
    shown = dev.output + json.dumps(message) + project.run("notifications").stdout
    assert "s3cret" not in shown
    for file in (project.root / ".defer").iterdir():
        assert b"s3cret" not in file.read_bytes(), file


def test_without_being_asked_nothing_is_sent(project: TempProject, slack: Slack) -> None:
    with project.dev(SLACK_URL=slack.url).ready():
        project.call("fails")
        (message,) = eventually(
            lambda: [one for one in outbox(project) if one["state"] == "kept"], "it is kept"
        )
    assert message["title"] == "fails failed" and slack.got == []
    assert "fails failed" in project.run("notifications").stdout


def test_a_killed_emulator_loses_no_message(project: TempProject, slack: Slack) -> None:
    slack.status = 500
    with project.dev("--send-notifications", SLACK_URL=slack.url).ready() as dev:
        project.call("fails")
        eventually(lambda: slack.got, "it is tried")
        project.wait_for(project.call("fails"), "failed")
        dev.kill()
    slack.status = 200
    before = len(slack.got)
    with project.dev("--send-notifications", SLACK_URL=slack.url).ready():
        eventually(
            lambda: {one["state"] for one in outbox(project)} == {"sent"} and len(slack.got) > before,
            "both are told",
        )
        assert sum(one["count"] for one in outbox(project)) == 2


def test_a_storm_is_one_message(project: TempProject, slack: Slack) -> None:
    with project.dev("--send-notifications", SLACK_URL=slack.url).ready():
        project.run("pause")
        for _ in range(3):
            project.call("fails")
        project.run("resume")
        eventually(lambda: slack.got, "it is told")
    assert told(slack) == ["fails failed, 3 times"]


def test_the_address_can_be_tried(project: TempProject, slack: Slack) -> None:
    done = project.run("notifications", "test", SLACK_URL=slack.url)
    assert done.stdout == f"sent a test message to {slack.url.removesuffix(PATH)}\n"
    assert "test" in slack.got[0][2].decode()
    slack.status, slack.said = 404, b"no_service"
    refused = project.run("notifications", "test", check=False, SLACK_URL=slack.url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "404: no_service" in refused.stderr and "s3cret" not in refused.stderr


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [
        ('notifications = "env:SLACK_URL"', {}, "SLACK_URL"),
        ("", {}, "no address"),
        ('notifications = "env:SLACK_URL"', {"SLACK_URL": "http://169.254.169.254/s3cret"}, "169.254"),
        ('notifications = "env:SLACK_URL"', {"SLACK_URL": "ftp://s3cret"}, "not that of a web server"),
        ('notifications = "hxxps://hooks.slack.com/s3cret"', {}, "an address"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_at_once(
    project: TempProject, settings: str, environment: dict[str, str], said: str
) -> None:
    (project.root / "defer.toml").write_text(settings + "\n")
    for command in (("notifications", "test"), ("dev", "--send-notifications")):
        refused = project.run(*command, check=False, **environment)
        assert refused.returncode == 2
        assert said in refused.stderr and "s3cret" not in refused.stderr


def test_the_secret_may_be_in_the_env_file(project: TempProject, slack: Slack) -> None:
    (project.root / ".env").write_text(f"SLACK_URL={slack.url}\n")
    project.run("notifications", "test")
    assert len(slack.got) == 1
