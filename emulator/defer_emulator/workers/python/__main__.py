"""Where every child begins, under the project's own interpreter.

`python …/workers/python/__main__.py base FD` is the base fork server, `… worker FD` a worker that was not
forked. The descriptor is a connected socket; what follows goes through it, see docs/worker-protocol.md.

The interpreter may have no `defer_emulator` installed, or another version: these packages are found where
this file is, and nothing else of that place is. (`multiprocessing` runs this file again in its children, as
`__mp_main__`: the finder must be there too.)
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - the project's interpreter, not ours
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


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
sys.meta_path.insert(0, _OwnPackages)

if __name__ == "__main__":
    from defer_emulator.workers.python import base, worker

    role, descriptor = sys.argv[1], int(sys.argv[2])
    del sys.argv[1:]
    (base.main if role == "base" else worker.spawned)(descriptor)
