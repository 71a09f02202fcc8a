"""Runs this example for real, and checks what it did: `make demo`, or `python demo.py`.

In a temporary copy: an emulator, a mail server that refuses some mails at first, the cron fired by hand.
Exits 0 when each user who opted in got exactly one mail, and the others none.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

HERE = Path(__file__).parent
DEFER = Path(sys.executable).with_name("defer")
CRON = "weekly_product_recommendations"
PATIENCE = 25.0  # seconds, for each thing that is waited for


class DemoFailed(Exception):
    """Something was not as it should be; the message says what."""


class GreylistingMailServer:
    """Takes mails, but asks every third recipient that is new to it to try again: 451."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()  # mails by recipient
        self.refused: list[str] = []
        self._known: set[str] = set()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address not in self._known:
            self._known.add(address)
            if len(self._known) % 3 == 0:
                self.refused.append(address)
                return "451 4.7.1 Greylisted, please try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.accepted.update(envelope.rcpt_tos)
        return "250 OK"


class Project:
    """A copy of this example with a database of its own, and the `defer` command in it."""

    def __init__(self, root: Path, mail_port: int) -> None:
        shutil.copytree(HERE, root, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
        settings = {"SMTP_URL": f"smtp://127.0.0.1:{mail_port}", "SHOP_DATABASE": str(root / "shop.db")}
        (root / ".env").write_text("".join(f'{name}="{value}"\n' for name, value in settings.items()))
        self.root = root
        # Nothing that this shell is set to may send the demo's calls elsewhere.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEFER_")}
        self._environment = inherited | settings | {"PYTHONPATH": str(root / "src")}

    async def run(self, *command: str | Path) -> str:
        """The output of a command. Raises `DemoFailed` when it fails."""
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.root, env=self._environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        except asyncio.TimeoutError:
            raise DemoFailed(f"no answer within {PATIENCE:.0f} s: {_shown(command)}") from None
        finally:
            await _stop(process, signal.SIGKILL)
        if process.returncode != 0:
            raise DemoFailed(f"exit code {process.returncode}: {_shown(command)}\n{(out + err).decode()}")
        return out.decode()

    def addresses(self, *, opted_in: bool) -> list[str]:
        with closing(sqlite3.connect(self.root / "shop.db")) as database:
            query = "SELECT email FROM users WHERE weekly_product_recommendations = ?"
            return [email for (email,) in database.execute(query, (opted_in,))]

    async def executions(self) -> list[dict[str, Any]]:
        listed = await self.run(DEFER, "list", "--limit", "1000", "--output", "json")
        rows: list[dict[str, Any]] = json.loads(listed)["data"]
        return rows

    async def all_finished(self) -> bool:
        return not any(row["state"] in ("created", "started", "aborting") for row in await self.executions())

    @asynccontextmanager
    async def emulator(self) -> AsyncIterator[str]:
        """A running `defer dev`: its URL. It is stopped at the end, whatever happens."""
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        with (self.root / "dev.log").open("w+") as log:
            process = await asyncio.create_subprocess_exec(
                DEFER,
                *("dev", "--no-open", "--port", str(port)),
                cwd=self.root,
                env=self._environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the demo, which then stops it in order
            )
            try:
                await _until(lambda: _is_ready(process, url), "defer dev did not get ready")
                yield url
            except DemoFailed as error:
                log.seek(0)
                raise DemoFailed(f"{error}\n--- defer dev said:\n{log.read()}") from None
            finally:
                await _stop(process, signal.SIGINT)


async def demo(folder: Path) -> None:
    mails = GreylistingMailServer()
    mail_server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mails, hostname="localhost"), "127.0.0.1", 0
    )
    mail_port: int = mail_server.sockets[0].getsockname()[1]
    project = Project(folder / HERE.name, mail_port)
    say((await project.run(sys.executable, "-m", "shop.seed")).strip())
    say(f"mail server on port {mail_port}: answers 451 to every third new recipient")
    async with mail_server, project.emulator() as url:
        say(f"defer dev is ready at {url}")
        await fire(project)
        rows = await project.executions()
        print(await project.run(DEFER, "list"))
        wanted, others = project.addresses(opted_in=True), project.addresses(opted_in=False)
        check(mails, wanted, others)
        check_executions(rows, mails)
        say(f"{len(mails.refused)} first tries were refused with 451: their executions were retried")
        say(f"{len(wanted)} users who opted in got one mail each, the other {len(others)} none")
        await fire(project)
        check(mails, wanted, others)
        say("fired again in the same week: nobody got a second mail")
    say("defer dev is stopped")


async def fire(project: Project) -> None:
    """Run the cron now, and wait until it and all that it started have finished."""
    started = time.monotonic()
    await project.run(DEFER, "run", CRON, "--wait")
    await _until(project.all_finished, "some executions did not finish")
    say(f"{CRON} and all it started have finished after {time.monotonic() - started:.1f} s")


def check(mails: GreylistingMailServer, wanted: list[str], others: list[str]) -> None:
    expected = Counter(dict.fromkeys(wanted, 1))
    if mails.accepted != expected:
        wrong = {
            name: mails.accepted[name]
            for name in (*wanted, *others)
            if mails.accepted[name] != expected[name]
        }
        raise DemoFailed(f"wrong numbers of mails: {wrong}")
    if len(mails.refused) != len(wanted) // 3:
        raise DemoFailed(f"the mail server refused {len(mails.refused)} first tries, not a third")


def check_executions(rows: list[dict[str, Any]], mails: GreylistingMailServer) -> None:
    unsuccessful = [row["id"] for row in rows if row["state"] != "succeed"]
    if unsuccessful:
        raise DemoFailed(f"these executions did not succeed: {', '.join(unsuccessful)}")
    attempts = Counter(row["attempt"] for row in rows if row["function_name"] != CRON)
    expected = {1: sum(mails.accepted.values()) - len(mails.refused), 2: len(mails.refused)}
    if attempts != expected:
        raise DemoFailed(f"executions by number of attempts: {dict(attempts)}, not {expected}")


def say(text: str) -> None:
    print(f"- {text}", flush=True)


async def _until(holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await holds():
        if time.monotonic() > deadline:
            raise DemoFailed(f"{otherwise} within {PATIENCE:.0f} s")
        await asyncio.sleep(0.2)


async def _is_ready(process: Process, url: str) -> bool:
    if process.returncode is not None:
        raise DemoFailed(f"defer dev ended with exit code {process.returncode}")
    return await asyncio.to_thread(_answers, f"{url}/health")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


async def _stop(process: Process, by: signal.Signals) -> None:
    if process.returncode is not None:
        return
    process.send_signal(by)
    try:
        await asyncio.wait_for(process.wait(), 10)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _shown(command: tuple[str | Path, ...]) -> str:
    return " ".join((Path(command[0]).name, *map(str, command[1:])))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with TemporaryDirectory(prefix="defer-demo-") as folder:
        try:
            asyncio.run(demo(Path(folder)))
        except DemoFailed as error:
            print(f"The demo failed: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
            return 130
    print("All as it should be.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
