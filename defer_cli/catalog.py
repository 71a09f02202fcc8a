"""The commands: their names, what `defer --help` says of them, and where each is. Imports next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Words = Literal["", "ids", "name"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A command: the module below `defer_cli.commands` that has the function of its name."""

    section: str
    help: str  # one line
    module: str = ""  # "" where it is named as the command
    function: str = ""
    words: Words = ""  # what its words are, for the shells: they wait for no import
    filters: bool = False  # it takes those of `defer list`


COMMANDS = {
    "init": Entry(section="Start", help="Prepare this folder: a defer/ package with an example."),
    "new": Entry(section="Start", help="Add a background function, a cron or a workflow."),
    "check": Entry(section="Start", help="Find mistakes in the functions of this project."),
    "functions": Entry(section="Start", help="List the functions of this project."),
    "dev": Entry(section="Start", help="Run the emulator: executes what is enqueued, reloads on save."),
    "run": Entry(
        section="Run", help="Enqueue an execution of a function, and wait for it if you like.", words="name"
    ),
    "exec": Entry(
        section="Run", help="Run a command while an emulator serves the project.", function="execute"
    ),
    "list": Entry(
        section="Look",
        help="List executions, newest first.",
        module="listing",
        function="listing",
        filters=True,
    ),
    "show": Entry(section="Look", help="Show one execution on one screen.", words="ids"),
    "logs": Entry(section="Look", help="Show what an execution printed.", words="ids", filters=True),
    "result": Entry(section="Look", help="Print the result of an execution as JSON.", words="ids"),
    "attempts": Entry(section="Look", help="List the attempts of an execution.", words="ids"),
    "why": Entry(
        section="Look", help="Explain what an execution waits for, or what became of it.", words="ids"
    ),
    "tree": Entry(section="Look", help="Show an execution and everything it started.", words="ids"),
    "diff": Entry(section="Look", help="Compare two executions, or two attempts of one.", words="ids"),
    "stats": Entry(section="Look", help="Count and time what ran: rates, percentiles, failures."),
    "reschedule": Entry(section="Act", help="Move the due time of executions.", words="ids", filters=True),
    "cancel": Entry(
        section="Act",
        help="Cancel executions, or abort running ones with --force.",
        words="ids",
        filters=True,
    ),
    "rerun": Entry(section="Act", help="Run executions again, as new ones.", words="ids", filters=True),
    "capture": Entry(section="Act", help="Write a pytest from an execution.", words="ids"),
    "pause": Entry(section="Act", help="Start no more executions of a function, or of any.", words="name"),
    "resume": Entry(
        section="Act", help="Start executions again.", module="pause", function="resume", words="name"
    ),
    "cron": Entry(section="Project", help="Show the crons and when they fire next."),
    "clock": Entry(section="Project", help="Show, advance, freeze or reset the emulated clock."),
    "notifications": Entry(section="Project", help="Show what is told of failures, or send a test message."),
    "snapshot": Entry(
        section="Project", help="Save, list, restore, fork or delete copies of the project's state."
    ),
    "prune": Entry(section="Project", help="Delete finished executions, and make the file smaller."),
    "doctor": Entry(section="Project", help="Check this machine and this project."),
    "mcp": Entry(section="Project", help="Serve these operations to coding agents."),
    "completion": Entry(section="Project", help="Print the completion script of a shell."),
}
