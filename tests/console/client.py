"""Executions from outside of the browser: what the pages must show."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.projects import eventually


class Api:
    """The HTTP API of a running emulator, as an application uses it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/public/v2{path}", raw, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def call(self, name: str, *arguments: Any, delay: float | None = None, **metadata: str) -> str:
        """Enqueue an execution, due after `delay` seconds; its id."""
        body = {
            "function_name": name,
            "function_arguments": list(arguments),
            "schedule_for": delay,
            "metadata": metadata,
        }
        found: str = self.ask("PUT", "/executions", body)["data"]["id"]
        return found

    def execution(self, execution_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/executions/{execution_id}")["data"]
        return found

    def arguments(self, execution_id: str) -> Any:
        return self.ask("GET", f"/executions/{execution_id}/arguments")

    def of(self, name: str) -> list[dict[str, Any]]:
        """The latest executions of a function, newest first."""
        rows: list[dict[str, Any]] = self.ask("POST", "/executions", {"page": {"first": 500}})["data"]
        return [row for row in rows if row["function_name"] == name]

    def wait_for(self, execution_id: str, *states: str) -> dict[str, Any]:
        found: dict[str, Any] = eventually(
            lambda: (row := self.execution(execution_id))["state"] in states and row,
            f"{execution_id} is {' or '.join(states)}",
        )
        return found
