"""The users' files: a folder for each user. `UPLOADS` says where."""

import os
from pathlib import Path


def read_upload(user_id: str, name: str) -> str:
    """Raises `FileNotFoundError` with words for the user."""
    path = upload_path(user_id, name)
    if not path.is_file():
        raise FileNotFoundError(f"{name} has not been uploaded")
    return path.read_text(encoding="utf-8")


def upload_path(user_id: str, name: str) -> Path:
    """Raises `ValueError` for a name that would lead out of the user's folder."""
    for part in (user_id, name):
        if part.startswith(".") or "/" in part or "\0" in part:
            raise ValueError(f"{part!r} is no name of a file")
    return Path(os.environ.get("UPLOADS", "uploads")) / user_id / name
