"""The functions of a project: from its living emulator where there is one, else from its files."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from defer_cli.names import snake_case
from defer_cli.session import Session
from defer_client.errors import DeferError, InvalidArguments, UnknownFunction
from defer_client.models import Arguments
from defer_emulator.domain.functions import ANY, FunctionSpec, Parameter, RegisteredFunction
from defer_emulator.domain.ids import function_id
from defer_emulator.domain.signature import check_arguments

if TYPE_CHECKING:
    from defer_emulator.project.check import Imported
    from defer_emulator.project.finder import SourceFile
    from defer_emulator.project.parser import FoundFunction


def known_functions(session: Session) -> list[RegisteredFunction]:
    """All functions of the project, by name.

    Without an emulator the project's files are imported in a process of their own, because the file of
    executions may be older than they are.
    """
    remembered = session.call(session.operations.functions()) if session.has_file else []
    if session.server_runs():
        return [function for function in remembered if function.status != "removed"]
    from defer_cli.importing import import_project

    return _merge(session, remembered, import_project(session))


def names_of_functions(session: Session) -> frozenset[str]:
    """Those of the project's files and those that its file of executions remembers."""
    remembered = session.call(session.operations.functions()) if session.has_file else []
    with suppress(DeferError):  # no folder of functions, or two
        return frozenset([*(one.spec.name for one in remembered), *(one.function for one in _files(session))])
    return frozenset(one.spec.name for one in remembered)


def _merge(
    session: Session, remembered: Iterable[RegisteredFunction], imported: Imported
) -> list[RegisteredFunction]:
    """The functions as imported, with what the file of executions knows of them."""
    from defer_emulator.generations import refusal

    by_name = {function.spec.name: function for function in remembered}
    all_paused = session.has_file and session.call(session.operations.is_paused())
    project_id = session.call(session.operations.project_id()) if session.has_file else None
    failed = {failure.file: failure for failure in imported.failures}
    specs = {spec.name: spec for spec in imported.functions if spec.file not in failed}
    for source in _files(session):
        if source.relative in failed and source.function not in specs:
            old = by_name.get(source.function)
            specs[source.function] = old.spec if old else _stand_in(source)
    found = []
    for name, spec in sorted(specs.items()):
        problem: str | None = None
        if failure := failed.get(spec.file):
            problem = f"{failure.at or failure.file}:{failure.line}: {failure.message}"
        elif refused := refusal(spec, imported.functions):
            problem = f"{spec.file}:{spec.line}: {refused}"
        old = by_name.get(name)
        found.append(
            RegisteredFunction(
                id=function_id(project_id, name) if project_id else "",
                spec=spec,
                status="broken" if problem else "ready",
                problem=problem,
                paused=all_paused or (old is not None and old.paused),
                cron_after=None if old is None else old.cron_after,
            )
        )
    return found


def set_paused(session: Session, name: str | None, *, paused: bool) -> str | None:
    """Pause or resume the function that a typed name means, or all; its name. Raises `UnknownFunction`."""
    operations = session.operations
    if name is not None:
        try:
            name = session.call(operations.find_function(name)).spec.name
        except UnknownFunction:
            source = _find_file(session, name)
            if source is None or _parse(source) is None:
                raise _unknown(session, name, source) from None
            session.call(operations.remember(_stand_in(source)))  # no emulator has loaded it yet
            name = source.function
    session.call(operations.pause(name) if paused else operations.resume(name))
    return name


def _stand_in(source: SourceFile) -> FunctionSpec:
    """What the source tells of a function that was not imported, or cannot be."""
    parsed = _parse(source)
    cron = parsed.expression.value if parsed and parsed.expression else None
    return FunctionSpec(
        name=source.function,
        module=source.module,
        file=source.relative,
        line=parsed.place.line if parsed else 1,
        kind=parsed.kind if parsed else "background",
        cron=cron if isinstance(cron, str) else None,
        parameters=ANY if parsed is None or parsed.parameters is None else parsed.parameters,
    )


def find_parameters(session: Session, name: str) -> tuple[str, Sequence[Parameter]]:
    """The name of the function that a typed name means, and its parameters. As `find_spec`."""
    spec = find_spec(session, name)
    return spec.name, spec.parameters


def find_spec(session: Session, name: str) -> FunctionSpec:
    """The function that a typed name means: its parameters, place and first line of documentation.

    A file of that name is parsed, so that a function can be called before an emulator has seen it.
    Raises `UnknownFunction` with "did you mean".
    """
    if session.endpoint:
        return _spec(name, ANY)
    source = _find_file(session, name)
    parsed = None if source is None else _parse(source)
    if source is not None and parsed is not None and parsed.parameters is not None:
        doc = None if parsed.definition is None else ast.get_docstring(parsed.definition)
        first_line = (doc or "").strip().partition("\n")[0] or None
        return _spec(
            parsed.name, parsed.parameters, file=source.relative, line=parsed.place.line, doc=first_line
        )
    try:
        return session.call(session.operations.find_function(name)).spec
    except UnknownFunction:
        if parsed is not None:
            return _spec(parsed.name, ANY)
        raise _unknown(session, name, source) from None


def _spec(
    name: str, parameters: Sequence[Parameter], *, file: str = "", line: int = 1, doc: str | None = None
) -> FunctionSpec:
    return FunctionSpec(
        name=name, module="", file=file, line=line, kind="background", parameters=tuple(parameters), doc=doc
    )


def check_fit(name: str, parameters: Sequence[Parameter], arguments: Arguments) -> None:
    """Raises `InvalidArguments`, which names the parameter, when a call would not fit the signature."""
    try:
        check_arguments(_spec(name, parameters), arguments)
    except InvalidArguments as error:
        raise InvalidArguments(error.message, hint=f"see what it takes: defer run {name} --help") from None


def _unknown(session: Session, name: str, source: SourceFile | None) -> UnknownFunction:
    if source is not None:
        return UnknownFunction(
            f"{source.relative} holds no function that could run", hint="see why: defer check"
        )
    names = [source.function for source in _files(session)]
    near = difflib.get_close_matches(snake_case(name), names, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean {near[0]}?"
    elif names:
        hint = "see what there is: defer functions"
    else:
        hint = f"add it with: defer new {name}"
    return UnknownFunction(f"no function named {name!r} in {session.root}", hint=hint)


def _find_file(session: Session, name: str) -> SourceFile | None:
    files = {source.function: source for source in _files(session)}
    return files.get(name) or files.get(snake_case(name))


def _files(session: Session) -> Sequence[SourceFile]:
    from defer_emulator.project.finder import find_project

    return find_project(session.root, session.config).files


def _parse(source: SourceFile) -> FoundFunction | None:
    """The deferred function that is named after its file, as far as the source tells."""
    from defer_emulator.project.parser import parse_file

    return next((found for found in parse_file(source).functions if found.name == source.function), None)
