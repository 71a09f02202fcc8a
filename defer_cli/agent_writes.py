"""What coding agents may do only where they were allowed to write."""

from __future__ import annotations

from typing import Literal

from defer_cli.agent_tools import JsonObject, States, Tool, Tools
from defer_cli.bulk import NO_MORE, Action, Failed, find_all, perform, resolve_all, tally
from defer_cli.clock_moves import carry_out
from defer_cli.functions import set_paused
from defer_client.durations import parse_when
from defer_client.errors import InvalidArguments, InvalidRequest
from defer_client.models import Execution
from defer_client.wire import execution_to_json
from defer_emulator.operations import Search


class WritingTools(Tools):
    """Changes what exists too."""

    def writing(self) -> dict[str, Tool]:
        """Those that change or end what exists, or act on many."""
        return {
            "cancel": self.cancel,
            "reschedule": self.reschedule,
            "rerun_many": self.rerun_many,
            "pause": self.pause,
            "resume": self.resume,
            "move_clock": self.move_clock,
        }

    def cancel(
        self,
        ids: list[str] | None = None,
        state: States | None = None,
        function: list[str] | None = None,
        since: str | None = None,
        force: bool = False,
        tree: bool = False,
        dry_run: bool = False,
    ) -> JsonObject:
        """Cancel executions: those of these ids, or all that the filters match. force aborts those that
        run; tree takes what they have started too; dry_run only tells what would be cancelled.
        """
        session = self.session

        def action(execution_id: str) -> list[Execution]:
            if tree:
                return session.call(session.operations.cancel_tree(execution_id, force=force))
            return [session.call(session.backend.cancel_execution(execution_id, force=force))]

        states = state or (["created", "started"] if force else ["created"])
        return self._many(ids, self._filters(states, state, function, since), action, dry_run=dry_run)

    def reschedule(
        self,
        ids: list[str] | None = None,
        function: list[str] | None = None,
        since: str | None = None,
        when: str | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Move the due time of executions that have not started, by ids or by filters, to when: a
        duration from now, an ISO time, or now if it is left out.
        """
        session = self.session
        to = None if when is None else parse_when(when, "when")

        def action(execution_id: str) -> list[Execution]:
            return [session.call(session.backend.reschedule_execution(execution_id, to))]

        return self._many(ids, self._filters(["created"], None, function, since), action, dry_run=dry_run)

    def rerun_many(
        self,
        ids: list[str] | None = None,
        state: States | None = None,
        function: list[str] | None = None,
        since: str | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Run many executions again: those of these ids, or all that the filters match."""
        session = self.session

        def action(execution_id: str) -> list[Execution]:
            return [session.call(session.backend.rerun_execution(execution_id))]

        return self._many(ids, self._filters(state, state, function, since), action, dry_run=dry_run)

    def pause(self, function: str | None = None) -> JsonObject:
        """Start no more executions of a function, or of any if none is named. What runs goes on."""
        return self._set_paused(function, paused=True)

    def resume(self, function: str | None = None) -> JsonObject:
        """Start executions of a function again, or of all that were not paused by their own name."""
        return self._set_paused(function, paused=False)

    def move_clock(
        self, action: Literal["advance", "next", "freeze", "resume", "reset"], to: str | None = None
    ) -> JsonObject:
        """Move the emulated clock. advance needs `to`, a duration such as "3d" or an ISO time, and
        walks through all that is due; next goes to the next due thing; reset goes back to real time.
        """
        if (to is not None) != (action == "advance"):
            raise InvalidArguments(
                "advance needs `to`, such as 3d" if action == "advance" else f"{action} takes no `to`"
            )
        carry_out(self.session, action, None if to is None else parse_when(to, "to"))
        return self.clock()

    # --- helpers ------------------------------------------------------------------------------

    def _set_paused(self, function: str | None, *, paused: bool) -> JsonObject:
        return {"function": set_paused(self.session, function, paused=paused), "paused": paused}

    def _filters(
        self, states: States | None, state: States | None, function: list[str] | None, since: str | None
    ) -> Search | None:
        """`states` narrow what the other filters find; None where there is no other filter."""
        if not (state or function or since):
            return None
        return self.search(states, function, None, None, None, since, None)

    def _many(
        self, ids: list[str] | None, search: Search | None, action: Action, *, dry_run: bool
    ) -> JsonObject:
        if bool(ids) == (search is not None):
            raise InvalidRequest("give ids, or a filter: state, function or since; not both")
        session = self.session
        targets: list[str | Failed] = []
        if search is None:
            targets += resolve_all(session, ids or ())
        else:
            targets += [execution.id for execution in find_all(session, search)][::-1]
        if dry_run:
            found = [text for text in targets if isinstance(text, str)]
            return {"dry_run": True, "matched": len(found), "ids": found}
        done = tally(perform(targets, action), len(targets))
        return {
            "data": [execution_to_json(execution) for execution in done.changed],
            "page_info": NO_MORE,
            "summary": done.to_json(),
            "failed": [failed.to_json() for failed in done.failed],
        }
