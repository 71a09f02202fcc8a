"""How a message looks: first for anybody, then in the words of Slack, or as plain JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from defer_client.models import Json
from defer_emulator.domain.notifications import Content, Descendant, Incident
from defer_emulator.domain.texts import moment

Format = Literal["slack", "json"]

HIDDEN = "[secret]"
_TITLE, _FACT, _ERROR = 150, 300, 1_500  # characters
_CODE = 2_900  # characters of an error as Slack wants it: it refuses more than 3,000
_PAIRS = 10  # of metadata
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A message for a person. All is plain text, of whatever the functions said."""

    title: str
    facts: tuple[tuple[str, str], ...]  # label and value
    error: str | None
    link: str | None  # to the console


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a rendering needs beside the message: the name of the project, the address of its console, how
    to show a time (µs, emulated), and what must not be shown."""

    project: str
    console: str | None
    time: Callable[[int], datetime]
    secrets: Collection[str] = ()

    def clean(self, text: str, length: int) -> str:
        text = _CONTROL.sub("", text)
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return text if len(text) <= length else text[: length - 1] + "…"


def shown(content: Content, around: Surroundings) -> Shown:
    incident = content.incident
    facts = _missed_facts(content, around) if incident.kind == "missed" else _facts(content, around)
    fault = incident.fault or (incident.descendants[0].fault if incident.descendants else None)
    error = None if fault is None else f"{fault.name}: {fault.message}" if fault.message else fault.name
    if fault is not None and fault.place:
        error = f"{error}\n  at {fault.place}"
    return Shown(
        title=around.clean(" ".join(_title(content).split()), _TITLE),
        facts=tuple((label, around.clean(value, _FACT)) for label, value in facts),
        error=None if error is None else around.clean(error, _ERROR),
        link=_link(content, around),
    )


def _title(content: Content) -> str:
    incident, count = content.incident, content.count
    if incident.kind == "missed":
        names = list(dict.fromkeys(name for name, _, _ in content.crons))
        runs = "1 run" if count == 1 else f"{count:,} runs"
        return f"{runs} of {_listed(names)} {'was' if count == 1 else 'were'} missed"
    if incident.kind == "failed":
        return f"{incident.function} failed" + (f", {count:,} times" if count > 1 else "")
    child = incident.descendants[0].function if incident.descendants else "a child"
    times = f", {count:,} times" if count > 1 else ""
    return f"{child} failed in {incident.function}, which {_ended(incident)}{times}"


def _ended(incident: Incident) -> str:
    return {"succeed": "succeeded", "aborted": "was aborted"}.get(
        incident.state or "", f"was {incident.state}"
    )


def _listed(names: list[str]) -> str:
    shown_names = names[:3]
    if len(names) > len(shown_names):
        return f"{', '.join(shown_names)} and others"
    return " and ".join([", ".join(shown_names[:-1]), shown_names[-1]]) if len(names) > 1 else names[0]


def _facts(content: Content, around: Surroundings) -> list[tuple[str, str]]:
    incident = content.incident
    facts = [
        ("project", around.project),
        ("function", incident.function),
        ("when", moment(around.time(incident.at))),
    ]
    if content.count > 1:
        facts.append(("latest", moment(around.time(content.last_at))))
    if incident.id is not None:
        facts.append(("execution", incident.id))
    if incident.attempt > 1:
        facts.append(("attempts", str(incident.attempt)))
    if incident.metadata:
        pairs = [f"{key}={value}" for key, value in sorted(incident.metadata.items())]
        more = f" and {len(pairs) - _PAIRS} more" if len(pairs) > _PAIRS else ""
        facts.append(("metadata", ", ".join(pairs[:_PAIRS]) + more))
    if incident.descendants_count:
        facts.append(("failed descendants", _descendants(incident)))
    return facts


def _descendants(incident: Incident) -> str:
    by_function: dict[str, int] = {}
    for one in incident.descendants:
        by_function[one.function] = by_function.get(one.function, 0) + 1
    named = ", ".join(name if count == 1 else f"{name} × {count}" for name, count in by_function.items())
    return f"{incident.descendants_count:,}: {named}" + (
        ", …" if incident.descendants_count > len(incident.descendants) else ""
    )


def _missed_facts(content: Content, around: Surroundings) -> list[tuple[str, str]]:
    facts = [("project", around.project), ("noticed", moment(around.time(content.incident.at)))]
    for name, first, count in content.crons:
        since = moment(around.time(first))
        facts.append((name, since if count == 1 else f"{count:,} since {since}"))
    return facts


def _link(content: Content, around: Surroundings) -> str | None:
    if around.console is None:
        return None
    base = around.console.rstrip("/")
    execution = content.incident.id
    return f"{base}/schedules" if execution is None else f"{base}/executions/{execution}"


def trial(project: str) -> Shown:
    """What `defer notifications test` sends."""
    return Shown(
        title="defer can tell you of failures here",
        facts=(("project", project), ("what this is", "a test: nothing has failed")),
        error=None,
        link=None,
    )


# --- bodies -------------------------------------------------------------------------------------


def body_of(format: Format, content: Content, around: Surroundings) -> Json:
    """What is sent."""
    return slack_body(shown(content, around)) if format == "slack" else json_body(content, around)


def trial_body(format: Format, project: str) -> Json:
    message = trial(project)
    if format == "slack":
        return slack_body(message)
    return {"event": "test", "project": project, "title": message.title, "text": _text(message)}


def slack_body(message: Shown) -> Json:
    """For an incoming webhook. Nothing of the texts is taken for a command, a mention or a link."""
    blocks: list[Json] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.title, "emoji": False}},
        {
            "type": "section",
            "fields": [
                {"type": "mrkdwn", "text": f"*{_escaped(label)}*\n{_escaped(value)}"}
                for label, value in message.facts[:10]
            ],
        },
    ]
    if message.error is not None:
        # Cut again, as escaping made it longer, but not inside of an escape.
        code = re.sub(r"&\w*$", "", _escaped(message.error.replace("```", "'''"))[:_CODE])
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": f"```{code}```"}})
    if message.link is not None:
        text = f"<{message.link}|Open in the console>"
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
    return {"text": _escaped(_summary(message)), "blocks": blocks}


def _summary(message: Shown) -> str:
    """What a telephone shows."""
    return message.title if message.error is None else f"{message.title}: {message.error.splitlines()[0]}"


def _text(message: Shown) -> str:
    facts = [f"{label}: {value}" for label, value in message.facts]
    return "\n".join([message.title, *facts, *(text for text in (message.error, message.link) if text)])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def json_body(content: Content, around: Surroundings) -> Json:
    """For any address. Times are RFC 3339 in UTC, on the emulated clock."""
    incident, view = content.incident, shown(content, around)
    fault = incident.fault
    data: dict[str, Json] = {
        "event": _EVENTS[incident.kind],
        "project": around.project,
        "title": view.title,
        "text": _text(view),
        "count": content.count,
        "first_at": _time(incident.at, around),
        "last_at": _time(content.last_at, around),
        "url": view.link,
    }
    if incident.kind == "missed":
        data["crons"] = [
            {"function_name": name, "first": _time(first, around), "count": count}
            for name, first, count in content.crons
        ]
        return data
    data["execution"] = {
        "id": incident.id,
        "function_name": incident.function,
        "state": incident.state,
        "attempt": incident.attempt,
        "metadata": {key: around.clean(value, _FACT) for key, value in incident.metadata.items()},
    }
    data["error"] = None if fault is None else _cleaned(asdict(fault), around)
    data["failed_descendants"] = [_descendant(one, around) for one in incident.descendants]
    data["failed_descendants_count"] = incident.descendants_count
    data["executions"] = list(content.executions)
    return data


_EVENTS = {"failed": "execution.failed", "handled": "execution.handled", "missed": "cron.missed"}


def _descendant(one: Descendant, around: Surroundings) -> Json:
    return {"id": one.id, "function_name": one.function, "error": _cleaned(asdict(one.fault), around)}


def _cleaned(fault: dict[str, str | None], around: Surroundings) -> Json:
    return {name: None if text is None else around.clean(text, _ERROR) for name, text in fault.items()}


def _time(micros: int, around: Surroundings) -> str:
    return around.time(micros).isoformat().replace("+00:00", "Z")
