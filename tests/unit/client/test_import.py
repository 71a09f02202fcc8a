"""What `import defer_client` loads: every application pays for it at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

import defer_client


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running `code`."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_declaring_a_function_loads_neither_asyncio_nor_the_values_that_travel() -> None:
    loaded = modules_after("from defer_client import defer\n@defer\nasync def send_mail(address): ...")
    heavy = {
        "asyncio",
        "json",
        "sqlite3",
        "httpx",
        "pathlib",
        "defer_client.models",
        "defer_client.executions",
    }
    assert loaded & heavy == set()


@pytest.mark.parametrize("name", defer_client.__all__)
def test_every_exported_name_is_there_on_first_use(name: str) -> None:
    assert getattr(defer_client, name) is not None
    assert name in dir(defer_client)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'PAGE_SIZE'"):
        defer_client.PAGE_SIZE  # noqa: B018
