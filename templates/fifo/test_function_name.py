from defer_emulator.testing import Emulator

from defer.function_name import function_name


def test_function_name(defer_emulator: Emulator) -> None:
    for item in ("first", "second"):
        function_name.enqueue(item)
    defer_emulator.run_until_idle()
    results = [execution.result for execution in defer_emulator.executions(function_name)]
    assert results == ["done with first", "done with second"]
