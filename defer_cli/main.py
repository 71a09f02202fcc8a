"""The root of `defer`: finds the command, runs it, and turns every error into a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Literal

OK, FAILED, USAGE, NOT_FOUND, CONFLICT, TIMED_OUT, NO_PROJECT = range(7)
INTERRUPTED = 130

BY_CODE = {
    "config": USAGE,
    "no_project": NO_PROJECT,
    "too_many_folders": NO_PROJECT,
    "workers_unavailable": NO_PROJECT,
    "port_taken": CONFLICT,
    "snapshot_not_found": NOT_FOUND,
}
"""Errors of the emulator's parts, which need not be imported to be known."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `defer` with these arguments (those of the process by default) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):  # nothing else is worth its import time
        from defer_client import __version__

        sys.stdout.write(f"defer {__version__}\n")
        return OK
    from defer_cli.session import Session

    session = Session.of_process()
    if "_DEFER_COMPLETE" in os.environ:  # set by the scripts of `defer completion`
        from defer_cli.completing import complete

        return complete(session, os.environ["_DEFER_COMPLETE"])
    try:
        code = _invoke(given, session)
        session.output.flush()
        return code
    except BrokenPipeError:
        _silence_stdout()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _show(error, given, session)


def _invoke(given: list[str], session: object) -> int:
    import warnings

    with warnings.catch_warnings():
        # typer uses what the newest click calls deprecated: no business of who has asked for errors
        warnings.simplefilter("ignore", DeprecationWarning)
        from click.exceptions import Exit

        from defer_cli.registry import root_command

    try:
        with root_command().make_context("defer", [*given], obj=session) as context:  # it takes words away
            return int(root_command().invoke(context) or OK)
    except Exit as end:  # --help, for one
        return end.exit_code


def exit_code(error: Exception) -> int:
    """What an error means for a script."""
    from click import UsageError

    from defer_client import errors

    table: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...] = (
        ((UsageError, errors.InvalidRequest, errors.InvalidOption, errors.InvalidArguments), USAGE),
        ((errors.NotSerializable, errors.CronInvocationError, errors.AmbiguousId), USAGE),
        ((errors.ExecutionNotFound, errors.UnknownFunction), NOT_FOUND),
        (errors.Conflict, CONFLICT),
        (errors.ResultTimeout, TIMED_OUT),
        ((errors.NoBackendError, errors.BackendError), NO_PROJECT),
    )
    by_class = next((code for kinds, code in table if isinstance(error, kinds)), FAILED)
    return BY_CODE.get(getattr(error, "code", ""), by_class)


def _show(error: Exception, given: list[str], session: object) -> int:
    from click import ClickException, UsageError

    from defer_cli.session import Session
    from defer_client.errors import DeferError

    assert isinstance(session, Session)
    output = session.output
    output.format = _requested_format(given) or output.format
    try:
        if isinstance(error, DeferError):
            output.error(error.code, error.message, error.hint)
        elif isinstance(error, UsageError):
            from defer_cli.advice import explain

            command = error.ctx.command_path if error.ctx else "defer"
            output.error("usage", explain(error), f"see {command} --help")
        elif isinstance(error, ClickException):
            output.error("error", error.format_message())
        elif isinstance(error, OSError) and error.filename is not None:
            output.error(
                "os_error", f"{error.filename}: {error.strerror}", "check the path and its permissions"
            )
        else:
            _report(error, given, session)
        output.flush()
    except BrokenPipeError:
        _silence_stdout()
    return exit_code(error)


def _requested_format(given: list[str]) -> Literal["json", "jsonl"] | None:
    """The format of errors where the command line itself could not be understood."""
    before = given[: given.index("--")] if "--" in given else given
    for place, word in enumerate(before):
        name, equals, value = word.partition("=")
        if name in ("--output", "-o"):
            found = value if equals else "".join(before[place + 1 : place + 2])
            return "json" if found == "json" else "jsonl" if found == "jsonl" else None
    return None


def _report(error: Exception, given: list[str], session: object) -> None:
    """A bug of ours: keep the traceback out of the way, in a file."""
    from defer_cli.catalog import COMMANDS
    from defer_cli.reporting import summary, write_report
    from defer_cli.session import Session

    assert isinstance(session, Session)
    command = next((word for word in given if word in COMMANDS), "")
    text = summary(error, given, command, session.environment)
    try:
        path = write_report(error, given, command, session.environment)
        advice = (
            f"a report was written to {path}, without arguments and secrets; please open an issue with it"
        )
    except OSError as problem:
        advice = f"no report could be written: {problem.strerror}"
    session.output.error("internal", f"this is a bug in defer: {text}", advice)


def _silence_stdout() -> None:
    """Whoever read our output has left: nothing may complain about that while the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            os.dup2(null, stream.fileno() if stream else 1)
