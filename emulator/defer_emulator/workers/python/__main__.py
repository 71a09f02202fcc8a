"""Where every child begins, under the project's own interpreter.

`python .../workers/python/__main__.py base FD VERSION` is the base fork server, `... worker FD JOBS` a worker
that was not forked. Descriptors are connected sockets; docs/worker-protocol.md says what goes through them.
VERSION is that of the `defer_client` which the interpreter must have installed, "" where it does not matter:
the project's programs write with theirs what the emulator reads with its own.

Workers themselves use the packages beside this file, and nothing else of that place. (`multiprocessing` runs
this file again in its children, as `__mp_main__`: the finder must be there too.)
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - the project's interpreter, so old that it must read this
    sys.exit("defer needs Python 3.10 or newer, and this is " + sys.version.split()[0])

import os
from importlib.machinery import PathFinder

_HERE = os.path.dirname(os.path.abspath(__file__))
_EMULATOR = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))
_FOLDERS = {
    "defer_emulator": [_EMULATOR],
    "defer_client": [_EMULATOR, os.path.dirname(_EMULATOR)],  # the second in a checkout
}


class _OwnPackages:
    """Finds the packages that belong to this file, before any other of the same name."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        return PathFinder.find_spec(name, _FOLDERS[name]) if name in _FOLDERS else None


def _require_client(version):  # type: ignore[no-untyped-def]
    """End, with a hint in the last line, where the interpreter has no `defer_client` of that version."""
    from importlib.util import find_spec

    spec = find_spec("defer_client")
    if spec is None or spec.origin is None:
        problem = "it has no defer_client installed"
    else:
        values = {}  # type: ignore[var-annotated]
        with open(os.path.join(os.path.dirname(spec.origin), "_version.py"), encoding="utf-8") as file:
            exec(file.read(), values)
        if values["__version__"] == version:
            return
        problem = "it has defer_client " + values["__version__"] + ", and this defer is " + version
    install = sys.executable + " -m pip install --no-deps defer-cli==" + version
    sys.exit(problem + "\nhint: install it there: " + install + "; or choose another Python: --python")


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]

if __name__ == "__main__" and sys.argv[1] == "base" and sys.argv[3]:
    _require_client(sys.argv[3])  # type: ignore[no-untyped-call]

sys.meta_path.insert(0, _OwnPackages)

if __name__ == "__main__":
    from defer_emulator.workers.python import base, worker

    role, descriptor, *more = sys.argv[1:]
    del sys.argv[1:]
    if role == "base":
        base.main(int(descriptor))
    worker.spawned(int(descriptor), int(more[0]))
