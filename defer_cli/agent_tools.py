"""What coding agents can do here: the operations of the command line, as functions of plain values.

An agent reads the docstrings, and the signatures are the schemas of its tools.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from defer_cli.commands.clock import status_to_json
from defer_cli.commands.why import to_json as why_to_json
from defer_cli.functions import check_fit, find_parameters, known_functions
from defer_cli.session import Session
from defer_cli.views import function_to_json
from defer_client.durations import parse_when
from defer_client.errors import InvalidRequest, ResultTimeout
from defer_client.models import Arguments, Call, ErrorCode, ExecutionFilters, Page, State
from defer_client.options import CallOptions, call_options
from defer_client.wire import (
    arguments_to_json,
    execution_to_json,
    log_line_to_json,
    outcome_to_json,
    page_of_to_json,
)
from defer_emulator.operations import Search

JsonObject = dict[str, Any]
Tool = Callable[..., Any]
States = list[
    Literal["created", "started", "succeed", "failed", "cancelled", "aborting", "aborted", "discarded"]
]
Codes = list[Literal["ER0000", "ER0001", "ER0002", "ER0003"]]

LONGEST_WAIT = 600.0  # seconds
NO_EMULATOR = "no emulator runs, so that nothing executes: start one with `defer dev`"


class Tools:
    """Reads, and starts executions."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def reading(self) -> dict[str, Tool]:
        """Those that change nothing, by name."""
        return {
            "functions": self.functions,
            "list": self.list_executions,
            "show": self.show,
            "logs": self.logs,
            "why": self.why,
            "wait": self.wait,
            "clock": self.clock,
        }

    def starting(self) -> dict[str, Tool]:
        """Those that add executions, and touch none that exists."""
        return {"run": self.run, "rerun": self.rerun}

    def functions(self) -> JsonObject:
        """List this project's background functions and crons: names, files, schedules, limits, whether
        paused.
        """
        return {"data": [function_to_json(one) for one in known_functions(self.session)]}

    def list_executions(
        self,
        state: States | None = None,
        function: list[str] | None = None,
        error_code: Codes | None = None,
        metadata: dict[str, str] | None = None,
        executed_by: str | None = None,
        since: str | None = None,
        text: str | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> JsonObject:
        """List executions, newest first. All filters given must match; a list matches any of its
        values.

        since is a duration such as "2h" (created that long ago or later) or an ISO time; executed_by
        the id of a parent; text is looked for in names, arguments, results and errors. limit is 1 to
        1000; go on with after = page_info.end_cursor.
        """
        search = self.search(state, function, error_code, metadata, executed_by, since, text)
        return page_of_to_json(self.session.search(Page(first=limit, after=after), search))

    def show(self, id: str) -> JsonObject:
        """Show one execution: its row, arguments, attempts with their errors, result, children and why
        it is where it is. id: a full id, four or more characters of its beginning or end, "@last" or
        "@last-failed".
        """
        session, backend = self.session, self.session.backend
        found = session.resolve(id)
        execution = session.call(backend.get_execution(found))
        whole = found.partition(".")[0]
        attempts = session.call(backend.list_execution_attempts(whole, Page(), ExecutionFilters()))
        shown: JsonObject = {
            "execution": execution_to_json(execution),
            "arguments": arguments_to_json(session.call(backend.get_execution_arguments(found))),
            "attempts": page_of_to_json(attempts)["data"],
            "children": [execution_to_json(child) for child in session.children(whole)],
        }
        if execution.state in (State.SUCCEED, State.FAILED):
            shown["result"] = session.call(backend.get_execution_result(found))
        if not session.endpoint:
            shown["why"] = why_to_json(session.call(session.operations.why(found)))
        return shown

    def logs(self, id: str, grep: str | None = None, tail: int = 200) -> JsonObject:
        """Show what an execution, or one attempt ("<id>.2"), printed: the last `tail` lines, of those
        that contain the text `grep` in any case if it is given.
        """
        if tail < 1:
            raise InvalidRequest("tail must be 1 or more")
        lines = self.session.call(self.session.backend.get_execution_logs(self.session.resolve(id)))
        wanted = [line for line in lines if grep is None or grep.lower() in line.message.lower()]
        return {
            "data": [log_line_to_json(line) for line in wanted[-tail:]],
            "left_out": max(0, len(wanted) - tail),
        }

    def why(self, id: str) -> JsonObject:
        """Explain what an execution waits for or what became of it, with the commands that help."""
        session = self.session
        return why_to_json(session.call(session.operations.why(session.resolve(id))))

    async def wait(self, id: str, timeout: float = 30.0) -> JsonObject:
        """Wait until an execution has ended; the answer has its row and its result, or its error.
        timeout is in seconds, at most 600; when it is over, "timed_out" is true and the execution goes
        on.
        """
        session = self.session
        found = session.resolve(id)
        try:
            outcome = await session.backend.wait(found, max(0.0, min(timeout, LONGEST_WAIT)))
        except ResultTimeout:
            row = execution_to_json(await session.backend.get_execution(found))
            return self._noted({"execution": row, "timed_out": True})
        return {**outcome_to_json(outcome), "timed_out": False}

    def clock(self) -> JsonObject:
        """Show the emulated clock: what it shows, whether it runs, its offset from real time in seconds."""
        return status_to_json(self.session.call(self.session.operations.clock()))

    def run(
        self,
        function: str,
        arguments: list[Any] | dict[str, Any] | None = None,
        delay: str | None = None,
        discard_after: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> JsonObject:
        """Enqueue an execution of a function. arguments: an array (by position) or an object (by name).
        delay and discard_after: a duration such as "2h" or an ISO time. Returns its row; take the id to
        wait for it.
        """
        session = self.session
        name, parameters = find_parameters(session, function)
        given = (
            Arguments(keyword=arguments)
            if isinstance(arguments, dict)
            else Arguments(positional=arguments or [])
        )
        check_fit(name, parameters, given)
        options = call_options(
            CallOptions(), delay=delay, discard_after=discard_after, metadata=metadata or {}
        )
        call = Call(
            function_name=name,
            arguments=given,
            delay=options.delay,
            discard_after=options.discard_after,
            metadata=options.metadata,
        )
        return self._noted(execution_to_json(session.enqueue(call)))

    def rerun(self, id: str) -> JsonObject:
        """Run an execution again, as a new one with the same function, arguments and metadata, due now."""
        session = self.session
        again = session.call(session.backend.rerun_execution(session.resolve(id)))
        return self._noted(execution_to_json(again))

    # --- helpers ------------------------------------------------------------------------------

    def _noted(self, answer: JsonObject) -> JsonObject:
        return answer if self.session.server_runs() else {**answer, "note": NO_EMULATOR}

    def search(
        self,
        state: States | None,
        function: list[str] | None,
        error_code: Codes | None,
        metadata: dict[str, str] | None,
        executed_by: str | None,
        since: str | None,
        text: str | None,
    ) -> Search:
        return Search(
            filters=ExecutionFilters(
                states=[State(value) for value in state or ()],
                error_codes=[ErrorCode(value) for value in error_code or ()],
                executed_by=None if executed_by is None else self.session.resolve(executed_by),
                metadata={key: [value] for key, value in (metadata or {}).items()},
            ),
            function_names=function or (),
            created_since=None if since is None else parse_when(since, "since"),
            text=text or None,
        )
