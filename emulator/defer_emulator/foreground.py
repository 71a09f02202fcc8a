"""One execution in the foreground, in this very process: `breakpoint()` works, and nothing ends it by time.

It is stored as started by nobody's emulator, so none takes it meanwhile, and is never tried again. Standard
library only: the project's Python runs this, which may have nothing else.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from defer_client.current import CurrentExecution, executing
from defer_client.errors import DeferError
from defer_client.functions import DeferredFunction
from defer_client.models import Failure, State
from defer_client.retry import NO_RETRY
from defer_client.selection import set_worker_backend
from defer_client.serialization import check_json
from defer_emulator.backend import LocalBackend
from defer_emulator.domain import settlement
from defer_emulator.domain.ids import short_id
from defer_emulator.domain.work import Completion, LogChunk, Running
from defer_emulator.presence import Waker, start_time
from defer_emulator.runner.frames import Load
from defer_emulator.runner.output import AttemptOutput, Stream
from defer_emulator.store.store import Store
from defer_emulator.store.transaction import NewExecution
from defer_emulator.workers.python.describe import find_function, import_source, problem
from defer_emulator.workers.python.environment import prepare
from defer_emulator.workers.python.failures import failure_of_attempt
from defer_emulator.workers.python.traces import without_our_frames

OK, FAILED, CONFLICT, INTERRUPTED = 0, 1, 4, 130  # exit codes, as those of the command line
LOG_INTERVAL = 0.2  # seconds: how late a line that was printed can be read


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to run. All of it is JSON, because another interpreter may have to run it."""

    root: str
    load: Mapping[str, Any]  # the fields of a `Load`, whose only module is the function's
    arguments: str  # JSON, as in `Running`
    metadata: Mapping[str, str]
    parent: str | None  # the execution that asks for it
    as_json: bool  # how to write an error


def run(request: Request) -> int:
    """Run it, print its result as JSON or its error, and return the exit code. Raises `DeferError`."""
    load = Load(**request.load)
    ((module, file, name),) = load.modules
    try:
        prepare(load)
        function = find_function(import_source(module, load.root, file), name)
    except BaseException as error:
        said = problem(error, load.root, file)
        sys.stderr.write(said["traceback"])
        message = f"{said['file'] or file}:{said['line']}: {said['message']}"
        return _refuse(request, "import_failed", message, "correct the file, and run it again")
    store = Store.open(Path(request.root), create=False)
    execution = _Foreground(store, function, request, name)
    try:
        return execution.run()
    except DeferError as error:
        code = CONFLICT if error.code == "conflict" else FAILED
        return _refuse(request, error.code, error.message, error.hint, code)
    finally:
        store.close()


def execute(python: str, request: Request) -> NoReturn:
    """Become the project's own Python, which runs it. Never returns."""
    import tempfile

    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        json.dump(asdict(request), file)
        file.seek(0)
        os.set_inheritable(file.fileno(), True)
        os.execv(python, [python, "-m", "defer_emulator.foreground", str(file.fileno())])


def main() -> int:
    with open(int(sys.argv[1]), encoding="utf-8") as file:  # noqa: PTH123 (a descriptor)
        request = Request(**json.load(file))
    del sys.argv[1:]
    return run(request)


class _Foreground:
    """An execution from before its row until after its end."""

    def __init__(
        self, store: Store, function: DeferredFunction[..., Any], request: Request, name: str
    ) -> None:
        self._store = store
        self._function = function
        self._request = request
        self._wake = Waker(Path(request.root))
        self._running = self._store_started(name)
        self._log = _Log(store, self._running)

    def _store_started(self, name: str) -> Running:
        pid = os.getpid()
        with self._store.write() as tx:
            for left in tx.forsaken():
                tx.settle([settlement.interrupt(left, NO_RETRY, now=tx.now, jitter=0.0)])
                tx.leave_foreground(left)
            new = NewExecution(
                function=name,
                arguments=self._request.arguments,
                scheduled_at=tx.now,
                metadata=self._request.metadata,
                executed_by=self._request.parent,
            )
            return tx.start_in_foreground(
                new, self._function.options.concurrency, pid=pid, since=start_time(pid) or ""
            )

    def run(self) -> int:
        completion, stopped = self._outcome()
        with self._store.write() as tx:
            tx.append_logs(self._log.finish())
            changes = tx.settle([completion])
            tx.leave_foreground(self._running)
        self._wake()
        state = changes[0].state if changes else State.ABORTED
        return self._tell(completion, state, stopped=stopped)

    def _outcome(self) -> tuple[Completion, bool]:
        """Its end, and whether the person stopped it."""
        sequence, attempt = self._running.sequence, self._running.attempt
        aborted = Completion(sequence=sequence, attempt=attempt, state=State.ABORTED)
        try:
            with self._surroundings():
                value = contextvars.copy_context().run(self._call)
            result = json.dumps(check_json(value, "result"), ensure_ascii=False)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "BdbQuit":
                return aborted, True
            without_our_frames(error)
            failure = failure_of_attempt(error)
            return Completion(sequence=sequence, attempt=attempt, state=State.FAILED, failure=failure), False
        return Completion(sequence=sequence, attempt=attempt, state=State.SUCCEED, result=result), False

    def _call(self) -> Any:
        running = self._running
        arguments = json.loads(running.arguments)
        current = CurrentExecution(id=running.id, attempt=running.attempt, function=running.function)
        with executing(current, alone=True):
            value = self._function.local(*arguments["positional"], **arguments["keyword"])
            return asyncio.run(value) if inspect.iscoroutine(value) else value

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Its calls are its children, its log hears what it prints, and a signal ends it like Ctrl-C.

        At once: asyncio would only cancel at the next `await`, and a debugger at its prompt not even hear.
        """
        os.environ["DEFER_EXECUTION_TOKEN"] = f"{self._running.id}.{secrets.token_hex(16)}"
        set_worker_backend(LocalBackend(self._store, parent=self._running.id, wake=self._wake))
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        handlers = {number: signal.signal(number, _interrupted) for number in numbers}
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self._log.tee(sys.stdout, "stdout"), self._log.tee(sys.stderr, "stderr")
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams
            for number, handler in handlers.items():
                signal.signal(number, handler)
            set_worker_backend(None)

    def _tell(self, completion: Completion, state: State, *, stopped: bool) -> int:
        sys.stdout.flush()
        see = f"see defer show {short_id(self._running.id)}"
        if state is State.SUCCEED:
            sys.stdout.write(f"{completion.result}\n")
            return OK
        if state is State.FAILED and completion.failure is not None:
            if completion.failure.stack and not self._request.as_json:
                sys.stderr.write(completion.failure.stack.rstrip() + "\n")
            return _refuse(self._request, "execution_failed", _said(completion.failure), see)
        message = f"the execution was {state.value}, and has no result"
        code = INTERRUPTED if stopped else FAILED
        return _refuse(self._request, f"execution_{state.value}", message, see, code)


def _interrupted(_number: int, _frame: object) -> NoReturn:
    """As `signal.default_int_handler`, which asyncio would replace by its own."""
    raise KeyboardInterrupt


class _Log:
    """What the execution prints: as before on the terminal, and in its log."""

    def __init__(self, store: Store, running: Running) -> None:
        self._store = store
        self._output = AttemptOutput(running.sequence, running.attempt)
        self._chunks: list[LogChunk] = []
        self._written = time.monotonic()

    def tee(self, stream: TextIO, name: Stream) -> Any:
        return _Tee(stream, lambda text: self._add(name, text))

    def finish(self) -> Sequence[LogChunk]:
        """What is not stored yet."""
        return [*self._chunks, *self._output.finish(self._store.now())]

    def _add(self, stream: Stream, text: str) -> None:
        self._chunks += self._output.feed(stream, text.encode(errors="backslashreplace"), self._store.now())
        if self._chunks and time.monotonic() - self._written >= LOG_INTERVAL:
            chunks, self._chunks = self._chunks, []
            with self._store.write() as tx:
                tx.append_logs(chunks)
            self._written = time.monotonic()


class _Tee:
    """A stream whose text somebody else hears too. A debugger takes it for the terminal that it is."""

    def __init__(self, stream: TextIO, listener: Any) -> None:
        self._stream = stream
        self._listener = listener

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        self._listener(text)
        return written

    def writelines(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _said(failure: Failure) -> str:
    return failure.name if failure.message == failure.name else f"{failure.name}: {failure.message}"


def _refuse(request: Request, error: str, message: str, hint: str, code: int = FAILED) -> int:
    if request.as_json:
        sys.stderr.write(json.dumps({"error": error, "message": message, "hint": hint}) + "\n")
    else:
        sys.stderr.write(f"error: {message}\n" + (f"hint: {hint}\n" if hint else ""))
    return code


if __name__ == "__main__":
    sys.exit(main())
