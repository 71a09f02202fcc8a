"""`python -m tests.acceptance.screens`, or `make screens`: write the golden screens anew."""

from tests.acceptance.screens.golden import regenerate

regenerate()
