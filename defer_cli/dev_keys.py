"""What single keys do while `defer dev` runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from defer_cli.dev_output import DevView
from defer_cli.dev_text import INDENT
from defer_cli.keyboard import Keyboard
from defer_cli.session import Session
from defer_cli.text import relative
from defer_cli.views import describe
from defer_client.errors import DeferError
from defer_client.wire import failure_from_json
from defer_emulator.dev import DevInfo
from defer_emulator.domain.ids import short_id
from defer_emulator.notify.events import Event
from defer_emulator.project.diagnostics import Diagnostic

CLEAR = "\x1b[H\x1b[2J\x1b[3J"
LOG_LINES = 10  # of the last failure


class KeyedView:
    """A view, and the keys of whoever looks at it."""

    def __init__(self, session: Session, view: DevView) -> None:
        self._session = session
        self._view = view
        self._keyboard = Keyboard(self.press)
        self._url = ""
        self._keys: dict[str, tuple[str, Callable[[], None]]] = {
            "h": ("help: show these keys", self._help),
            "o": ("open the console in a browser", self._open),
            "l": ("show the last failure", self._show_last),
            "r": ("rerun the last failure", self._rerun_last),
            "c": ("clear the screen", self._clear),
            "p": ("pause everything, or resume it", self._pause),
            "q": ("quit, when what runs has finished", self._quit),
        }
        view.ready = "ready; press h for help, Ctrl-C to stop"

    def close(self) -> None:
        """Give the terminal back."""
        self._keyboard.close()

    # --- the view -----------------------------------------------------------------------------

    def started(self, info: DevInfo) -> None:
        self._url = info.url
        self._session.project = str(info.root)  # its own file, whatever DEFER_ENDPOINT says
        self._keyboard.open()
        self._view.started(info)

    def event(self, event: Event) -> None:
        self._view.event(event)

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        self._view.diagnostics(found)

    def stopping(self, running: int) -> None:
        self._view.stopping(running)

    def stopped(self) -> None:
        self.close()
        self._view.stopped()

    # --- keys ---------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Do what a key stands for. One that is none of ours does nothing; Enter makes some room."""
        output = self._session.output
        aliases = {"?": "h", "\x0c": "c"}  # Ctrl-L
        _, act = self._keys.get(aliases.get(key, key), ("", None))
        try:
            if act is not None:
                act()
            elif key in "\r\n":
                output.line()
        except DeferError as error:
            output.error(error.code, error.message, error.hint)
        output.flush()

    def _help(self) -> None:
        output = self._session.output
        for key, (text, _) in self._keys.items():
            output.line(f"  {output.style(key, 'bold')}  {text}")

    def _open(self) -> None:
        output = self._session.output
        output.line(f"the console is at {output.style(self._url, 'cyan')}")
        if _has_browser(self._session.environment.get):
            import webbrowser

            # Not by the loop's executor, which would wait at the end for a browser that hangs.
            threading.Thread(target=webbrowser.open, args=(self._url,), daemon=True).start()

    def _last(self) -> str:
        """Raises `ExecutionNotFound`."""
        return self._view.last_failed or self._session.resolve("@last-failed")

    def _show_last(self) -> None:
        session, output = self._session, self._session.output
        execution = session.call(session.backend.get_execution(self._last()))
        ended = execution.finished_at or execution.updated_at
        output.line(f"{describe(output, execution)}  {relative(ended, session.now())}")
        error = session.call(session.backend.get_execution_result(execution.id))
        self._view.show_failure(failure_from_json(error))
        for line in session.call(session.backend.get_execution_logs(execution.id))[-LOG_LINES:]:
            output.line(f"{INDENT}| {line.message}", "dim")
        output.line(f"{INDENT}press r to rerun it, or see defer show {short_id(execution.id)}", "dim")

    def _rerun_last(self) -> None:
        session, failed = self._session, self._last()
        again = session.call(session.backend.rerun_execution(failed))
        session.output.line(f"{describe(session.output, again)}  rerun of {short_id(failed)}")

    def _pause(self) -> None:
        operations, output = self._session.operations, self._session.output
        if self._session.call(operations.is_paused()):
            self._session.call(operations.resume())
            output.line("resumed", "green")
        else:
            self._session.call(operations.pause())
            output.line("paused: what runs goes on, nothing new starts; p resumes", "yellow")

    def _clear(self) -> None:
        self._session.output.out.write(CLEAR)

    def _quit(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def _has_browser(environment: Callable[[str], str | None]) -> bool:
    """Whether one would open in a window: a browser of text would take this very terminal."""
    return sys.platform != "linux" or any(map(environment, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
