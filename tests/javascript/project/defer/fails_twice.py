from defer_client import current_execution, defer


@defer(retry={"max_attempts": 2, "initial_interval": 0.01})
async def fails_twice() -> str:
    execution = current_execution()
    assert execution is not None
    if execution.attempt < 3:
        raise RuntimeError(f"attempt {execution.attempt}")
    return "at last"
