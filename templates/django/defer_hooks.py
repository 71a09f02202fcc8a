"""What background functions need of Django. `setup` and `after_fork` are named in the settings of defer."""

import os

import django
from django.db import connections


def setup() -> None:
    """Before the functions are imported: from here on they can import models."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings_module")
    django.setup()
    connections.close_all()  # what an app has opened in `ready` is not for the workers


def after_fork() -> None:
    """In each new worker: a connection belongs to one process, so this one opens its own."""
    connections.close_all()
