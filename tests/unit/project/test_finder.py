from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from defer_emulator.config import Config
from defer_emulator.project.finder import (
    Project,
    ProjectNotFound,
    TooManyFolders,
    find_folders,
    find_project,
    find_root,
)

from .conftest import Write

FUNCTION = "from defer_client import defer\n@defer\nasync def f(): ...\n"


def modules(project: Project) -> list[str]:
    return [file.module for file in project.files]


def names(root: Path, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


# --- the root -----------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", ["defer.toml", "pyproject.toml", ".defer/state.db"])
def test_the_nearest_ancestor_with_a_marker_is_the_root(write: Write, marker: str) -> None:
    root = write({f"shop/{marker}": "", "pyproject.toml": "", "shop/src/defer/f.py": FUNCTION})
    assert find_root(root / "shop" / "src" / "defer") == root / "shop"


def test_without_a_marker_the_parent_of_defer_is_the_root(write: Write) -> None:
    root = write({"shop/defer/f.py": FUNCTION, "shop/inner/deep/x.py": ""})
    assert find_root(root / "shop" / "inner" / "deep") == root / "shop"
    assert find_root(root / "shop" / "defer") == root / "shop"


def test_without_a_marker_a_defer_below_is_found(write: Write) -> None:
    root = write({"shop/src/defer/f.py": FUNCTION})
    assert find_root(root / "shop") == root / "shop" / "src"


def test_a_clone_of_a_project_called_defer_is_no_folder_of_functions(write: Write) -> None:
    root = write({"defer/pyproject.toml": "", "defer/x.py": "", "work/notes.txt": ""})
    with pytest.raises(ProjectNotFound, match="no project in"):
        find_root(root / "work")


def test_no_project_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound) as caught:
        find_root(tmp_path)
    assert "defer init" in caught.value.hint


# --- the folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "folder", "import_path", "module"),
    [
        (["defer/f.py"], "defer", "", "defer.f"),
        (["defer/__init__.py", "defer/f.py"], "defer", "", "defer.f"),
        (["src/defer/f.py"], "src/defer", "src", "defer.f"),
        (["src/shop/__init__.py", "src/shop/defer/f.py"], "src/shop/defer", "src", "shop.defer.f"),
        (["shop/__init__.py", "shop/defer/__init__.py", "shop/defer/f.py"], "shop/defer", "", "shop.defer.f"),
        (["shop/defer/f.py"], "shop/defer", "shop", "defer.f"),
        (["a/__init__.py", "a/b/__init__.py", "a/b/defer/f.py"], "a/b/defer", "", "a.b.defer.f"),
        (["defer/billing/send_invoice.py"], "defer", "", "defer.billing.send_invoice"),
        (["__init__.py", "defer/f.py"], "defer", "", "defer.f"),
        (["my-app/__init__.py", "my-app/defer/f.py"], "my-app/defer", "my-app", "defer.f"),
    ],
)
def test_modules_have_the_names_that_the_application_imports(
    write: Write, files: list[str], folder: str, import_path: str, module: str
) -> None:
    root = write({"pyproject.toml": "", **dict.fromkeys(files, "")})
    project = find_project(root, Config())
    assert names(root, project.folders) == [folder]
    assert project.import_paths == tuple(dict.fromkeys([root / import_path, root]))
    assert modules(project) == [module]


def test_ignored_files_and_folders_hold_no_functions(write: Write) -> None:
    ignored = [
        "_helpers.py", "__init__.py", "conftest.py", "test_f.py", "f_test.py", "notes.txt", "f.pyi", ".f.py",
        "tests/a.py", "test/a.py", "spec/a.py", "specs/a.py", ".hidden/a.py", "node_modules/a.py",
        "__pycache__/a.py", "env/pyvenv.cfg", "env/lib/a.py",
    ]  # fmt: skip
    kept = ["f.py", "build/b.py", "testing/c.py", "latest.py", "contest.py"]
    root = write({"pyproject.toml": "", **{f"defer/{name}": "" for name in ignored + kept}})
    found = [file.relative for file in find_project(root, Config()).files]
    assert found == sorted(f"defer/{name}" for name in kept)


def test_dependencies_tests_tools_and_nested_projects_are_not_searched(write: Write) -> None:
    others = [
        "node_modules/x", ".cache", "env/lib/python3.11/site-packages", "build/lib", "dist", "tests", "spec",
        "lib/site-packages", "examples/one",
    ]  # fmt: skip
    root = write(
        {
            "pyproject.toml": "",
            "src/defer/f.py": "",
            "env/pyvenv.cfg": "",
            "examples/one/pyproject.toml": "",
            **{f"{other}/defer/f.py": "" for other in others},
        }
    )
    assert names(root, find_folders(root, Config())) == ["src/defer"]


def test_links_that_lead_in_circles_end(write: Write) -> None:
    root = write({"pyproject.toml": "", "src/defer/f.py": ""})
    (root / "src" / "again").symlink_to(root)
    (root / "src" / "defer" / "up").symlink_to(root / "src")
    (root / "loop").symlink_to(root / "loop")
    (root / "src" / "defer" / "self.py").symlink_to(root / "src" / "defer" / "self.py")
    project = find_project(root, Config())
    assert modules(project) == ["defer.f", "defer.self"]


def test_a_defer_folder_may_be_a_link_and_is_counted_once(write: Write) -> None:
    root = write({"pyproject.toml": "", "code/functions/f.py": ""})
    (root / "defer").symlink_to(root / "code" / "functions")
    assert modules(find_project(root, Config())) == ["defer.f"]
    shutil.move(root / "code" / "functions", root / "code" / "defer")
    (root / "defer").unlink()
    (root / "defer").symlink_to(root / "code" / "defer")
    assert names(root, find_folders(root, Config())) == ["code/defer"]


def test_a_pipe_named_like_a_file_is_not_read(write: Write) -> None:
    root = write({"pyproject.toml": "", "defer/f.py": ""})
    os.mkfifo(root / "defer" / "pipe.py")
    assert modules(find_project(root, Config())) == ["defer.f"]


def test_a_folder_without_python_gives_way_to_one_with(write: Write) -> None:
    root = write({"pyproject.toml": "", "docs/defer/readme.md": "", "src/defer/f.py": ""})
    assert names(root, find_folders(root, Config())) == ["src/defer"]


def test_an_empty_defer_folder_is_enough_to_start_with(write: Write) -> None:
    root = write({"pyproject.toml": ""})
    (root / "defer").mkdir()
    assert find_project(root, Config()).files == ()


def test_a_project_without_defer_says_what_to_do(write: Write) -> None:
    root = write({"pyproject.toml": "", "api/pyproject.toml": "", "api/defer/f.py": ""})
    with pytest.raises(ProjectNotFound, match="no folder named defer/") as caught:
        find_project(root, Config())
    assert "defer init" in caught.value.hint and "cd api" in caught.value.hint


def test_two_folders_are_refused_with_the_setting_that_allows_them(write: Write) -> None:
    root = write({"pyproject.toml": "", "billing/defer/f.py": "", "shipping/defer/g.py": ""})
    with pytest.raises(TooManyFolders) as caught:
        find_project(root, Config())
    assert 'folders = ["billing/defer", "shipping/defer"]' in caught.value.hint


def test_the_configuration_lists_several_folders(write: Write) -> None:
    root = write(
        {
            "pyproject.toml": "",
            "billing/__init__.py": "",
            "billing/defer/f.py": "",
            "shipping/__init__.py": "",
            "shipping/jobs/g.py": "",
            "other/defer/h.py": "",
        }
    )
    project = find_project(root, Config(folders=("billing/defer", "shipping/jobs/", "billing/defer")))
    assert modules(project) == ["billing.defer.f", "shipping.jobs.g"]
    assert project.import_paths == (root,)


@pytest.mark.parametrize("name", ["missing/defer", "../defer", "/tmp", "."])
def test_a_configured_folder_must_be_below_the_root(write: Write, name: str) -> None:
    root = write({"pyproject.toml": "", "defer/f.py": ""})
    with pytest.raises(ProjectNotFound, match="folders: "):
        find_project(root, Config(folders=(name,)))


def test_long_paths_with_spaces_and_umlauts_work(tmp_path: Path) -> None:
    root = tmp_path / ("Büro für Größe " * 10).strip() / "mein projekt"
    (root / "src" / "defer").mkdir(parents=True)
    (root / "defer.toml").touch()
    (root / "src" / "defer" / "größe.py").touch()
    project = find_project(find_root(root / "src"), Config())
    assert modules(project) == ["defer.größe"]
    assert project.files[0].relative == "src/defer/größe.py"
    assert project.files[0].is_importable


def test_a_name_that_is_no_text_is_shown(tmp_path: Path) -> None:
    (tmp_path / "defer").mkdir()
    try:
        (tmp_path / "defer" / os.fsdecode(b"f\xff.py")).touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    (file,) = find_project(tmp_path, Config()).files
    assert file.relative == "defer/f�.py"
    assert not file.is_importable
