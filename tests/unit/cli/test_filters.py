"""What the options that choose executions mean."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest

from defer_cli.filters import FilteredCommand, chosen, is_filtered, moment_of
from defer_cli.output import Output
from defer_cli.session import Session
from defer_client.errors import InvalidDuration
from defer_client.models import ErrorCode, ExecutionFilters, Interval, State
from defer_emulator.operations import Search

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


class AtNoon(Session):
    def now(self) -> datetime:
        return NOON

    def resolve(self, text: str) -> str:
        return f"the id that {text} means"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return AtNoon(Output(io.StringIO(), io.StringIO(), {}), {}, tmp_path)


def search(session: Session, *words: str) -> Search:
    found: list[Search] = []

    @click.pass_context
    def look(ctx: click.Context) -> None:
        assert is_filtered(ctx) == bool(words)
        found.append(chosen(ctx))

    FilteredCommand("look", callback=look).main(list(words), obj=session, standalone_mode=False)
    return found[0]


def test_nothing_is_chosen_by_default(session: Session) -> None:
    found = search(session)
    assert found.filters == ExecutionFilters(function_ids=[])
    assert (found.function_names, found.created_since, found.text) == ([], None, None)


def test_each_option_is_a_filter(session: Session) -> None:
    found = search(
        session, "--state", "failed,Aborted", "-s", "created", "-e", "er0001", "-m", "a=1", "-m", "a=2",
        "-m", "b==", "--executed-by", "1f2e", "-f", "send", "--text", "Ada", "--since", "2h",
    )  # fmt: skip
    filters = found.filters
    assert list(filters.states) == [State.FAILED, State.ABORTED, State.CREATED]
    assert list(filters.error_codes) == [ErrorCode.TIMEOUT]
    assert filters.metadata == {"a": ["1", "2"], "b": ["="]}
    assert filters.executed_by == "the id that 1f2e means"
    assert (found.function_names, found.text, found.created_since) == (["send"], "Ada", 2 * HOUR)


def test_a_function_is_given_by_name_or_id(session: Session) -> None:
    id_ = "2ebb50f7-daab-52f5-a644-eeaa873f73d9"
    found = search(session, "--function", id_, "--function", "send")
    assert (list(found.filters.function_ids), found.function_names) == ([id_], ["send"])


def test_intervals_may_be_open_and_look_back_or_ahead(session: Session) -> None:
    found = search(session, "--scheduled-from", "+1h", "--started-from", "2h", "--started-to", "2026-01-31")
    assert found.filters.scheduled_at == Interval(start=NOON + HOUR)
    assert found.filters.started_at == Interval(
        start=NOON - 2 * HOUR, end=datetime(2026, 1, 31, tzinfo=timezone.utc)
    )


@pytest.mark.parametrize("text", ["soon", "", "+", "++1h", "-1h", "1h+"])
def test_what_is_no_time_is_refused(session: Session, text: str) -> None:
    with pytest.raises(InvalidDuration, match="--since"):
        moment_of(session, text, "--since")


@pytest.mark.parametrize("words", [["--state", "done"], ["--error-code", "7"], ["--metadata", "x"]])
def test_what_is_no_filter_is_a_usage_error(session: Session, words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        search(session, *words)


@pytest.mark.parametrize(
    ("option", "typed", "offered"),
    [
        ("--state", "a", ["aborting", "aborted"]),
        ("--error-code", "ER0003", ["ER0003"]),
        ("--metadata", "", []),
    ],
)
def test_values_are_completed(session: Session, option: str, typed: str, offered: list[str]) -> None:
    command = FilteredCommand("look", callback=lambda: None)
    (param,) = (one for one in command.params if option in one.opts)
    with command.make_context("look", [], obj=session) as ctx:
        assert [item.value for item in param.shell_complete(ctx, typed)] == offered
