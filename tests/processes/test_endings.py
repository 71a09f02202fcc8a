"""How attempts end in a real `defer dev`: whatever a function does, it ends in the right state, with a
message that helps, and the next execution finds a clean worker. Forked and spawned workers alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from defer_client.models import Arguments, Call, Execution, LogLine
from defer_client.sync import run
from defer_emulator.backend import LocalBackend, open_backend
from tests.projects import TempProject, eventually, is_alive

pytestmark = pytest.mark.processes

HEAD = """
import asyncio, ctypes, gc, json, os, resource, signal, subprocess, sys, threading, time
from defer_client import RetryPolicy, await_result, defer, delay
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]

"""

# name → options and body; what is expected of it: error code, error name, part of the message
FAILURES: dict[str, tuple[str, str, str, str, str]] = {
    "spins": ("max_duration=0.3", "while True: pass", "ER0001", "TimeoutError", "max_duration of 0.3 s"),
    "sleeps": ("max_duration=0.3", "await asyncio.sleep(600)", "ER0001", "TimeoutError", "longer than"),
    "holds_the_gil": (
        "max_duration=0.3",
        "ctypes.PyDLL(None).sleep(600)",
        "ER0001",
        "TimeoutError",
        "longer than",
    ),
    "stops_itself": (
        "max_duration=0.3",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "ER0001",
        "TimeoutError",
        "longer than",
    ),
    "ignores_signals": (
        "max_duration=0.3",
        "for n in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(n, signal.SIG_IGN)\n"
        "    while True:\n        try: time.sleep(600)\n        except BaseException: pass",
        "ER0001",
        "TimeoutError",
        "longer than",
    ),
    "eats_memory": (
        "retry=3",
        "kept = []\n    while True: kept.append(bytearray(10_000_000)); time.sleep(0.005)",
        "ER0002",
        "OOMError",
        "memory_limit is 200 MiB",
    ),
    "child_eats_memory": (
        "retry=3",
        "subprocess.run([sys.executable, '-c', 'import time; x = bytearray(400_000_000); time.sleep(600)'])",
        "ER0002",
        "OOMError",
        "memory_limit is 200 MiB",
    ),
    "asks_for_too_much": ("retry=3", "bytearray(1 << 60)", "ER0002", "OOMError", ""),
    "exits_hard": ("", "os._exit(3)", "ER0003", "ProcessDied", "exit code 3"),
    "exits_hard_with_zero": ("", "os._exit(0)", "ER0003", "ProcessDied", "exit code 0"),
    "segfaults": ("", "ctypes.string_at(0)", "ER0003", "ProcessDied", "SIGSEGV"),
    "aborts": ("", "os.abort()", "ER0003", "ProcessDied", "SIGABRT"),
    "exits": ("", "sys.exit(2)", "ER0003", "SystemExit", "sys.exit(2)"),
    "exits_with_words": ("", "sys.exit('no more')", "ER0003", "SystemExit", "no more"),
    "interrupts": ("", "raise KeyboardInterrupt", "ER0003", "KeyboardInterrupt", "KeyboardInterrupt"),
    "recurses": ("", "f = lambda: f()\n    f()", "ER0003", "RecursionError", "recursion"),
    "returns_a_set": ("", "return {'found': {1, 2}}", "ER0003", "NotSerializable", "result.found: set"),
    "returns_itself": ("", "x = []\n    x.append(x)\n    return x", "ER0003", "NotSerializable", "result"),
    "returns_too_deep": (
        "",
        "x = []\n    for _ in range(100_000): x = [x]\n    return x",
        "ER0003",
        "NotSerializable",
        "result",
    ),
    "returns_a_lone_surrogate": ("", "raise ValueError('\\ud800')", "ER0003", "ValueError", ""),
    "raises_without_words": ("", "raise LookupError", "ER0003", "LookupError", "LookupError"),
    "raises_what_cannot_be_shown": (
        "",
        "class Mute(Exception):\n        def __str__(self): raise RuntimeError\n        __repr__ = __str__\n"
        "    raise Mute(1)",
        "ER0003",
        "Mute",
        "",
    ),
    "asks_for_input": ("", "input('really? ')", "ER0003", "EOFError", "EOF"),
    "closes_everything": ("", "os.closerange(0, 256); time.sleep(600)", "ER0003", "ProcessDied", ""),
    "talks_over_our_channel": (
        "",
        "for fd in range(3, 64):\n        try: os.write(fd, b'x' * 999)\n        except OSError: pass\n"
        "    time.sleep(600)",
        "ER0003",
        "ProcessDied",
        "",
    ),
    "kills_its_parent": (
        "",
        "os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)",
        "ER0003",
        "ProcessDied",
        "",
    ),
}

# What leaves something behind, and succeeds.
UNTIDY = {
    "closes_stdout": "sys.stdout.close(); sys.stderr.close()",
    "closes_descriptors": "os.close(1); os.close(2)",
    "redirects": "null = os.open('/dev/null', os.O_WRONLY); os.dup2(null, 1); os.dup2(null, 2)",
    "replaces_stdout": "sys.stdout = sys.stderr = open('/dev/null', 'w')",
    "forgets_a_blocking_pipe": "os.set_blocking(1, False)",
    "changes_directory": "os.chdir('/')",
    "changes_into_nowhere": "os.mkdir('gone'); os.chdir('gone'); os.rmdir(os.getcwd())",
    "changes_environment": "os.environ.clear(); os.environ['LEFT'] = 'x'",
    "changes_handlers": "for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1):"
    " signal.signal(n, signal.SIG_IGN)",
    "blocks_signals": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})",
    "sets_a_timer": "signal.setitimer(signal.ITIMER_REAL, 0.2)",
    "sets_an_alarm": "signal.alarm(1)",
    "lowers_limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)); sys.setrecursionlimit(60)",
    "changes_the_path": "sys.path.clear()",
    "changes_umask": "os.umask(0o777)",
    "forgets_tasks": "asyncio.get_running_loop().create_task(asyncio.sleep(600))",
    "forgets_a_thread": "threading.Thread(target=time.sleep, args=(600,)).start()",
    "forgets_a_daemon_thread": "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "forgets_a_call_in_a_thread": "asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)",
    "forgets_a_process": "subprocess.Popen(SLEEPER, start_new_session=True)",
    "forgets_a_hidden_process": "subprocess.run(['sh', '-c', 'env -i setsid sleep 600 >/dev/null 2>&1 &'])",
    "forgets_a_fork": "\n    if os.fork() == 0:\n        time.sleep(600)",
    "stops_collecting": "gc.disable()",
    "forgets_the_loop": "asyncio.set_event_loop(None)",
    "prints_a_lot": "block = (b'x' * 99 + b'\\n') * 10_000\n    for _ in range(100): os.write(1, block)",
    "prints_one_long_line": "for _ in range(100): os.write(1, b'x' * 1_000_000)",
    "prints_bytes": "os.write(1, bytes(range(256)) * 10)",
}
# Everything that the next execution may rely on.
LOOK = """
    print("visible"); print("here", file=sys.stderr)
    subprocess.run(["echo", "from below"], check=True)
    ours = ("DEFER_EXECUTION_TOKEN", "DEFER_TOKEN")
    below = json.loads(subprocess.run(
        [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"], capture_output=True
    ).stdout)
    return {
        "directory": os.getcwd(),
        "environment": {k: v for k, v in os.environ.items() if k not in ours},
        "environment below": {k: v for k, v in below.items() if k not in ours},
        "path": sys.path,
        "handlers": [repr(signal.getsignal(n)) for n in sorted(set(signal.Signals))],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "umask": [os.umask(0o22), os.umask(0o22)],
        "limits": [resource.getrlimit(resource.RLIMIT_NOFILE), sys.getrecursionlimit()],
        "blocking": [os.get_blocking(1), os.get_blocking(2)],
        "collects": gc.isenabled(),
        "tasks": len(asyncio.all_tasks()),
        "threads": sorted(t.name for t in threading.enumerate() if not t.name.startswith("defer-")),
        "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
    }
"""
# What `cancel --force` must end. Each prints the pids that must be gone.
ENDLESS = {
    "never_yields": "print(os.getpid())\n    while True: pass",
    "sleeps_in_c": "print(os.getpid())\n    ctypes.PyDLL(None).sleep(600)",
    "is_stopped": "print(os.getpid())\n    os.kill(os.getpid(), signal.SIGSTOP)",
    "refuses_signals": "print(os.getpid())\n"
    "    for n in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(n, signal.SIG_IGN)\n"
    "    while True:\n        try: await asyncio.sleep(600)\n        except BaseException: pass",
    "starts_processes": "a = subprocess.Popen(SLEEPER).pid\n"
    "    b = subprocess.Popen(SLEEPER, start_new_session=True, env={}).pid\n"
    "    c = subprocess.run(['sh', '-c', 'env -i setsid sleep 600 >/dev/null 2>&1 & echo $!'],"
    " capture_output=True, text=True).stdout.strip()\n"
    "    print(a, b, c, os.getpid())\n    time.sleep(600)",
    "starts_threads": "for _ in range(5): threading.Thread(target=time.sleep, args=(600,)).start()\n"
    "    print(os.getpid())\n    await asyncio.to_thread(time.sleep, 600)",
    "forks_on": "print(os.getpid())\n    while True:\n        if os.fork() == 0: time.sleep(600)\n"
    "        time.sleep(0.02)",
}


def sources() -> dict[str, str]:
    bodies = {name: (options, body) for name, (options, body, *_) in FAILURES.items()}
    bodies |= {name: ("", body) for name, body in (UNTIDY | ENDLESS).items()}
    bodies["look"] = ("", LOOK)
    return {
        name: f"{HEAD}async def {name}(*words):\n    {body.strip()}\n\n{name} = defer({name}, {options})\n"
        for name, (options, body) in bodies.items()
    }


class Emulator:
    """A `defer dev` over all those functions, on one place: what runs next gets the worker used last."""

    def __init__(self, project: TempProject) -> None:
        self.backend: LocalBackend = open_backend(project.root)

    def start(self, name: str, *words: str) -> Execution:
        call = Call(function_name=name, arguments=Arguments(positional=words))
        return run(self.backend.enqueue(call), immediate=True)

    def get(self, execution: Execution) -> Execution:
        return run(self.backend.get_execution(execution.id), immediate=True)

    def ended(self, execution: Execution, patience: float = 20.0) -> Execution:
        found: Execution = eventually(
            lambda: (row := self.get(execution)).state.is_final and row, execution.function_name, patience
        )
        return found

    def result(self, execution: Execution) -> Any:
        return run(self.backend.get_execution_result(execution.id), immediate=True)

    def logs(self, execution: Execution) -> list[LogLine]:
        return run(self.backend.get_execution_logs(execution.id), immediate=True)

    def look(self) -> dict[str, Any]:
        """What an execution finds now."""
        execution = self.start("look")
        assert self.ended(execution).state.value == "succeed", self.result(execution)
        printed = {(line.stream, line.message) for line in self.logs(execution)}
        assert printed == {("stdout", "visible"), ("stderr", "here"), ("stdout", "from below")}
        found: dict[str, Any] = self.result(execution)
        return found


@pytest.fixture(scope="module", params=["fork", "spawn"])
def emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    root = tmp_path_factory.mktemp(f"endings-{request.param}")
    project = TempProject(root, sources())
    (root / "defer.toml").write_text(
        f'worker_start = "{request.param}"\nmemory_limit = "200MiB"\nmax_concurrency = 1\n'
    )
    with project.dev().ready():
        yield Emulator(project)


@pytest.fixture(scope="module")
def clean(emulator: Emulator) -> dict[str, Any]:
    """What a fresh worker is like."""
    return emulator.look()


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_says_what_happened_and_the_next_execution_runs(
    emulator: Emulator, clean: dict[str, Any], name: str
) -> None:
    _, _, code, error, message = FAILURES[name]
    execution = emulator.start(name)
    row = emulator.ended(execution)
    assert row.state.value == "failed"
    failure = emulator.result(execution)
    assert (row.error_code, failure["code"], failure["name"]) == (code, code, error), failure
    assert message in failure["message"] and failure["message"].strip()
    assert row.attempt == 1, "tried once"
    assert emulator.look() == clean


@pytest.mark.parametrize("name", UNTIDY)
def test_what_an_execution_leaves_behind_is_gone_for_the_next_one(
    emulator: Emulator, clean: dict[str, Any], name: str
) -> None:
    execution = emulator.start(name)
    assert emulator.ended(execution).state.value == "succeed", emulator.result(execution)
    assert emulator.look() == clean
    if name.startswith("sets_a"):
        time.sleep(1.1 if name == "sets_an_alarm" else 0.3)  # the alarm would go off
        assert emulator.look() == clean


@pytest.mark.parametrize("name", ENDLESS)
def test_force_ends_what_never_ends_within_two_seconds(emulator: Emulator, name: str) -> None:
    execution = emulator.start(name)
    eventually(lambda: emulator.logs(execution), "its pids")
    pids = [int(pid) for pid in emulator.logs(execution)[0].message.split()]
    begun = time.monotonic()
    run(emulator.backend.cancel_execution(execution.id, force=True), immediate=True)
    assert emulator.ended(execution, 2.0).state.value == "aborted"
    assert time.monotonic() - begun < 2.0
    assert not any(map(is_alive, pids))
    emulator.look()


def test_a_segfault_leaves_its_traceback_in_the_log(emulator: Emulator) -> None:
    execution = emulator.start("segfaults")
    emulator.ended(execution)
    printed = "\n".join(line.message for line in emulator.logs(execution))
    assert "Segmentation fault" in printed and "segfaults.py" in printed


def test_a_flood_of_output_keeps_its_ends_and_says_what_was_cut(emulator: Emulator) -> None:
    execution = emulator.start("prints_a_lot")
    emulator.ended(execution)
    lines = emulator.logs(execution)
    assert sum(len(line.message.encode()) + 1 for line in lines) <= 10 * 1024 * 1024 + 1_000
    assert [line.message.partition(" ")[0] for line in lines if line.stream == "system"] == ["…"]


def test_a_notice_names_what_was_left_behind(emulator: Emulator) -> None:
    for name, part in {
        "forgets_a_process": "time.sleep(600)",
        "forgets_a_thread": "thread",
        "forgets_tasks": "sleep",
    }.items():
        execution = emulator.start(name)
        emulator.ended(execution)
        notes = [line.message for line in emulator.logs(execution) if line.stream == "system"]
        assert any(part in note for note in notes), (name, notes)
