"""The registry of routes: what is shown where, and which forms lead where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from defer_emulator.web.console import (
    bulk,
    clock,
    errors,
    execution,
    executions,
    functions,
    live,
    login,
    logs,
    outbox,
    overview,
    preferences,
    schedules,
    static,
    workflow,
)
from defer_emulator.web.console.request import PageRequest

Handler = Callable[[PageRequest], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    method: str  # GET (and HEAD) or POST
    path: str  # {name} stands for one part
    handler: Handler
    is_open: bool = False  # also for who has not given the token

    def match(self, parts: list[str]) -> Mapping[str, str] | None:
        """The parts that the braces stand for; None for another path."""
        own = self.path.split("/")
        if len(own) != len(parts):
            return None
        found: dict[str, str] = {}
        for pattern, part in zip(own, parts, strict=True):
            if pattern.startswith("{") and part:
                found[pattern[1:-1]] = part
            elif pattern != part:
                return None
        return found


def get(path: str, handler: Handler, *, is_open: bool = False) -> Route:
    return Route(method="GET", path=path, handler=handler, is_open=is_open)


def post(path: str, handler: Handler, *, is_open: bool = False) -> Route:
    return Route(method="POST", path=path, handler=handler, is_open=is_open)


ROUTES: tuple[Route, ...] = (
    get("/", overview.show),
    get("/live", live.show),
    get("/login", login.show, is_open=True),
    post("/login", login.log_in, is_open=True),
    post("/logout", login.log_out),
    get("/functions", functions.show),
    get("/functions/{name}", functions.show_one),
    post("/functions/{name}/run", functions.run),
    post("/functions/{name}/pause", functions.pause),
    post("/functions/{name}/resume", functions.resume),
    get("/executions", executions.show),
    get("/executions/act", bulk.ask),
    post("/executions/act", bulk.start),
    get("/executions/acts/{number}", bulk.show),
    post("/executions/acts/{number}/stop", bulk.stop),
    get("/executions/{id}", execution.show),
    get("/executions/{id}/edit", execution.edit),
    post("/executions/{id}/edit", execution.rerun_edited),
    get("/executions/{id}/workflow", workflow.show),
    post("/executions/{id}/cancel", execution.cancel),
    post("/executions/{id}/abort", execution.abort),
    post("/executions/{id}/rerun", execution.rerun),
    post("/executions/{id}/reschedule", execution.reschedule),
    post("/executions/{id}/cancel-all", workflow.cancel),
    get("/schedules", schedules.show),
    post("/clock/advance", clock.advance),
    post("/clock/next", clock.to_next),
    post("/clock/freeze", clock.freeze),
    post("/clock/resume", clock.resume),
    post("/clock/reset", clock.reset),
    post("/clock/stop", clock.stop),
    get("/errors", errors.show),
    post("/errors/{fingerprint}/rerun", errors.rerun),
    get("/logs", logs.show),
    get("/outbox", outbox.show),
    get("/outbox/{number}", outbox.show_one),
    post("/pause", overview.pause_everything),
    post("/resume", overview.resume_everything),
    post("/preferences/theme", preferences.set_theme, is_open=True),
    get("/static/{name}", static.show, is_open=True),
    get("/static/{version}/{name}", static.show, is_open=True),
)
