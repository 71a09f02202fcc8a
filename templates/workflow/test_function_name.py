from defer_emulator.testing import Emulator

from defer.function_name import function_name


def test_function_name(defer_emulator: Emulator) -> None:
    function_name.enqueue(["one", "three"])
    defer_emulator.run_until_idle()
    assert defer_emulator.last(function_name).result == {"one": 3, "three": 5}
