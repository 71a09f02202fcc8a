"""`defer clock` with a real emulator, and without one."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.projects import DEFER, PATIENCE, TempProject, clean_environment, eventually

pytestmark = pytest.mark.acceptance

DAY = 86_400
ONBOARDING = """
    from defer_client import await_result, defer, delay, now

    from .send_tutorial import send_tutorial

    @defer
    async def onboarding(user: int) -> list[str]:
        begun = await now()
        sent = await await_result(delay(send_tutorial, "1 day"))(user)
        return [begun.isoformat(), sent, (await now()).isoformat()]
"""
SEND_TUTORIAL = """
    from defer_client import RetryPolicy, current_execution, defer, now

    @defer(retry=RetryPolicy(max_attempts=3, initial_interval=300, multiplier=1, randomization_factor=0))
    async def send_tutorial(user: int) -> str:
        if current_execution().attempt < 3:
            raise ConnectionError("the mail server is away")
        return (await now()).isoformat()
"""
MORNING = """
    from defer_client import defer

    @defer.cron("0 8 * * *")
    async def morning() -> None:
        print("good morning")
"""
EVERY_MINUTE = """
    from defer_client import defer

    @defer.cron("* * * * *")
    async def every_minute() -> None: ...
"""
SLEEP = """
    import asyncio
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
"""
QUICK = "async def quick() -> None: ..."


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path / "shop", {"sleep": SLEEP, "quick": QUICK})


def when(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def rows(project: TempProject, function: str) -> list[dict[str, Any]]:
    found = project.json("list", "--function", function, "--limit", "1000")["data"]
    return sorted(found, key=lambda row: str(row["scheduled_at"]))


def begin(project: TempProject, *arguments: str) -> subprocess.Popen[str]:
    """A `defer clock` that goes on."""
    return subprocess.Popen(
        [DEFER, "clock", *arguments],
        cwd=project.root,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_advancing(project: TempProject) -> bool:
    return project.json("clock")["advancing_to"] is not None


# --- with an emulator ------------------------------------------------------------------------------


def test_a_workflow_of_one_day_later_is_over_at_once(project: TempProject) -> None:
    project.write("onboarding", ONBOARDING)
    project.write("send_tutorial", SEND_TUTORIAL)
    with project.dev().ready() as dev:
        execution = project.call("onboarding", "7")
        project.wait_for(execution, "started")
        eventually(lambda: rows(project, "send_tutorial"), "the tutorial is enqueued")
        status = project.json("clock", "advance", "2d")
        assert status["mode"] == "running"
        assert status["offset"] == pytest.approx(2 * DAY, abs=20)
        begun, sent, ended = map(when, json.loads(project.run("result", execution).stdout))
        (tutorial,) = rows(project, "send_tutorial")
        due = when(tutorial["created_at"]) + timedelta(days=1)
        assert sent == due + timedelta(minutes=10), "two retries, five minutes after each failure"
        assert (tutorial["attempt"], when(tutorial["started_at"])) == (3, sent)
        attempts = project.json("attempts", tutorial["id"])["data"]
        assert [when(one["started_at"]) for one in attempts] == [
            due + n * timedelta(minutes=5) for n in (2, 1, 0)
        ]
        assert ended == sent
        assert begun < due
        dev.says("clock: advancing to")
        dev.says("running, 2d ahead of real time")


def test_a_cron_fires_on_each_day_of_a_week(project: TempProject) -> None:
    project.write("morning", MORNING)
    with project.dev().ready():
        start = when(project.json("clock")["now"])
        status = project.json("clock", "advance", "1 week")
        mornings = rows(project, "morning")
        assert [row["state"] for row in mornings] == ["succeed"] * 7
        assert all(row["started_at"] == row["scheduled_at"] == row["created_at"] for row in mornings)
        assert len({row["scheduled_at"][:10] for row in mornings}) == 7
        assert start <= when(mornings[0]["scheduled_at"]) <= start + timedelta(days=1)
        assert when(status["now"]) >= start + timedelta(weeks=1)


def test_next_goes_to_the_next_due_thing(project: TempProject) -> None:
    with project.dev().ready():
        execution = project.call("quick", "--delay", "3h")
        due = project.execution(execution)["scheduled_at"]
        project.run("clock", "advance", "--next")
        found = project.execution(execution)
        assert (found["state"], found["started_at"]) == ("succeed", due)
        nothing = project.run("clock", "advance", "--next", check=False)
        assert nothing.returncode == 4
        assert "nothing is due" in nothing.stderr


def test_the_clock_is_the_same_for_all_who_ask(project: TempProject) -> None:
    project.write(
        "tell",
        "from defer_client import defer, now\n@defer\nasync def tell() -> str:\n    return str(await now())",
    )
    with project.dev().ready() as dev:
        project.run("clock", "freeze")
        shown = project.json("clock", "advance", "--to", "2031-05-06T07:08:09Z")
        assert (shown["mode"], when(shown["now"])) == (
            "frozen",
            datetime(2031, 5, 6, 7, 8, 9, tzinfo=timezone.utc),
        )
        assert json.loads(project.run("run", "tell", "--wait").stdout) == "2031-05-06 07:08:09+00:00"
        with urllib.request.urlopen(f"{dev.url}/public/v2/clock") as answer:
            assert when(json.load(answer)["now"]) == when(shown["now"])
        code = "import asyncio, defer_client; print(asyncio.run(defer_client.now()).isoformat())"
        python = [str(Path(DEFER).with_name("python")), "-c", code]
        for environment in ({}, {"DEFER_ENDPOINT": dev.url, "DEFER_TOKEN": "any"}):
            told = subprocess.run(
                python,
                cwd=project.root,
                env=clean_environment() | environment,
                capture_output=True,
                text=True,
            )
            assert when(told.stdout.strip()) == when(shown["now"]), told.stderr


def test_reset_goes_back_to_real_time_in_a_new_epoch(project: TempProject) -> None:
    with project.dev().ready():
        project.run("clock", "advance", "3d")
        assert project.json("clock", "reset") | {"now": ""} == {
            "mode": "running",
            "now": "",
            "offset": 0.0,
            "epoch": 1,
            "advancing_to": None,
        }


def test_ctrl_c_stops_an_advance_and_a_second_one_is_a_conflict(project: TempProject) -> None:
    with project.dev().ready():
        execution = project.call("sleep", "60", "--delay", "1h")
        advance = begin(project, "advance", "1d")
        project.wait_for(execution, "started")
        assert is_advancing(project)
        second = project.run("clock", "advance", "1h", check=False)
        assert second.returncode == 4
        assert "already" in second.stderr
        advance.send_signal(signal.SIGINT)
        _, said = advance.communicate(timeout=PATIENCE)
        assert advance.returncode == 130
        assert "stopped: the clock shows" in said
        status = project.json("clock")
        assert (status["mode"], status["advancing_to"]) == ("running", None)
        assert status["offset"] == pytest.approx(3_600, abs=30)
        project.run("cancel", execution, "--force")


def test_freeze_ends_an_advance_whose_command_is_gone(project: TempProject) -> None:
    with project.dev().ready():
        execution = project.call("sleep", "60")
        project.wait_for(execution, "started")
        advance = begin(project, "advance", "1d")
        eventually(lambda: is_advancing(project), "the advance begins")
        advance.kill()
        advance.communicate()
        assert project.json("clock", "freeze")["mode"] == "frozen"
        assert not is_advancing(project)
        project.run("cancel", execution, "--force")


def test_a_killed_emulator_leaves_the_clock_where_it_got(project: TempProject) -> None:
    project.write("every_minute", EVERY_MINUTE)
    with project.dev().ready() as dev:
        start = when(project.json("clock")["now"])
        advance = begin(project, "advance", "30d", "--yes")
        eventually(lambda: len(rows(project, "every_minute")) > 50, "crons fire")
        dev.kill()
        _, said = advance.communicate(timeout=PATIENCE)
        assert advance.returncode == 4
        assert "defer clock advance --to" in said
    status = project.json("clock")
    got = when(status["now"])
    assert start < got < start + timedelta(days=30)
    assert (status["mode"], status["advancing_to"]) == ("running", None)
    with project.dev().ready():
        project.run("clock", "advance", "1h")
        moments = [when(row["scheduled_at"]) for row in rows(project, "every_minute")]
        assert len(moments) >= 110
        steps = {later - earlier for earlier, later in itertools.pairwise(moments)}
        assert steps == {timedelta(minutes=1)}, "none twice, none left out"
        states = {row["state"] for row in rows(project, "every_minute")}
        assert states <= {"succeed", "failed"}, "what ran when it was killed is interrupted"


def test_a_jump_that_fires_many_crons_needs_a_yes(project: TempProject) -> None:
    project.write("every_minute", EVERY_MINUTE)
    with project.dev().ready():
        refused = project.run("clock", "advance", "1d", check=False)
        assert refused.returncode == 2
        assert "--yes" in refused.stderr
        assert project.json("clock")["offset"] == 0
        project.run("clock", "advance", "1d", "--yes")
        assert project.json("clock")["offset"] == pytest.approx(DAY, abs=60)


def test_the_banner_of_a_new_emulator_shows_the_offset(project: TempProject) -> None:
    project.run("clock", "advance", "3d")
    with project.dev().ready() as dev:
        dev.says("running, 3d ahead of real time")


# --- without an emulator ---------------------------------------------------------------------------


def test_without_an_emulator_the_clock_moves_and_what_is_due_waits(project: TempProject) -> None:
    execution = project.call("quick", "--delay", "1 day")
    discarded = project.call("quick", "--delay", "1 day", "--discard-after", "2h")
    status = project.json("clock", "advance", "2d")
    assert status["offset"] == pytest.approx(2 * DAY, abs=5)
    assert project.execution(execution)["state"] == "created"
    found = project.execution(discarded)
    assert (found["state"], when(found["finished_at"])) == (
        "discarded",
        when(found["created_at"]) + timedelta(hours=2),
    )
    with project.dev().ready():
        project.wait_for(execution, "succeed")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["advance"], 2, "--next"),
        (["advance", "1d", "--next"], 2, "one of"),
        (["advance", "soon"], 2, "not a duration"),
        (["advance", "-5m"], 2, ""),
        (["advance", "--to", "2001-01-01"], 2, "defer clock reset"),
        (["advance", "--to", "3d"], 2, "defer clock advance 3d"),
        (["advance", "--to", "9999-12-31"], 2, "beyond"),
        (["freeze", "1d"], 2, "only advance"),
        (["explode"], 2, "explode"),
        (["advance", "--next"], 4, "nothing is due"),
    ],
)
def test_a_wrong_move_is_refused_and_moves_nothing(
    project: TempProject, arguments: list[str], code: int, said: str
) -> None:
    done = project.run("clock", *arguments, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert project.json("clock")["offset"] == 0


def test_freeze_and_resume(project: TempProject) -> None:
    frozen = project.json("clock", "freeze")
    assert frozen["mode"] == "frozen"
    assert project.json("clock")["now"] == frozen["now"]
    execution = project.call("quick", "--delay", "1h")
    assert project.execution(execution)["created_at"] == frozen["now"]
    resumed = project.json("clock", "resume")
    assert resumed["mode"] == "running"
    assert timedelta() <= when(resumed["now"]) - when(frozen["now"]) < timedelta(seconds=10)


def test_an_execution_cannot_wait_for_itself(project: TempProject) -> None:
    project.write(
        "mover",
        f"""
        import subprocess
        from defer_client import defer

        @defer
        async def mover() -> str:
            command = [{DEFER!r}, "clock", "advance", "1h"]
            return subprocess.run(command, capture_output=True, text=True).stderr
        """,
    )
    with project.dev().ready():
        assert "an execution cannot advance the clock" in project.run("run", "mover", "--wait").stdout
