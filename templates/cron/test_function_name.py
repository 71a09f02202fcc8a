import pytest
from defer_emulator.testing import Emulator

from defer.function_name import function_name


@pytest.mark.defer(start="2030-01-01T07:59")
def test_function_name(defer_emulator: Emulator) -> None:
    defer_emulator.advance("1 minute")
    defer_emulator.assert_succeeded(function_name)
