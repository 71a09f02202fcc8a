"""Each recipe of docs/testing.md is a project whose tests pass."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import Block, blocks
from tests.projects import clean_environment

pytestmark = pytest.mark.acceptance

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
SETTINGS = "[project]\nname = 'shop'\n[tool.pytest.ini_options]\npythonpath = ['.']\n"
DJANGO = {
    "shop/__init__.py": "",
    "shop/settings.py": """
SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
USE_TZ = True
""",
    "shop/urls.py": """
from django.urls import path
from shop.views import sign_up
urlpatterns = [path("sign-up", sign_up)]
""",
    "pyproject.toml": SETTINGS + "DJANGO_SETTINGS_MODULE = 'shop.settings'\n",
}


def files() -> dict[str, Block]:
    """The Python blocks that begin with the name of their file."""
    named = {}
    for block in blocks(PAGE):
        name = block.text.partition("\n")[0].removeprefix("# ")
        if block.language == "python" and name.endswith(".py"):
            named[name] = block
    return named


RECIPES = {
    "pytest": (["defer/remind.py", "defer/welcome.py", "test_welcome.py"], {}, 4),
    "unittest": (["defer/remind.py", "test_with_unittest.py"], {}, 1),
    "fastapi": (["defer/remind.py", "fastapi_app.py", "test_fastapi_app.py"], {}, 3),
    "flask": (["defer/remind.py", "flask_app.py", "test_flask_app.py"], {}, 2),
    "django": (["defer/greet.py", "shop/views.py", "test_sign_up.py"], DJANGO, 2),
}
ANYIO = "import pytest\n\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"


def test_every_named_block_belongs_to_a_recipe() -> None:
    assert {name for names, _, _ in RECIPES.values() for name in names} == set(files())


def test_every_python_block_is_python() -> None:
    for block in blocks(PAGE):
        if block.language == "python" and not block.text.startswith("@"):
            ast.parse(block.text, f"testing.md:{block.line}")


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_tests_of_a_recipe_pass(recipe: str, tmp_path: Path) -> None:
    names, more, count = RECIPES[recipe]
    sources = {"pyproject.toml": SETTINGS, "conftest.py": ANYIO, "defer/__init__.py": "", **more}
    sources |= {name: files()[name].text for name in names}
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} passed" in done.stdout
