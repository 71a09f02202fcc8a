from defer_client import defer


@defer(retry=3)
async def function_name(name: str) -> str:
    """Say what this function does: `defer functions` shows it."""
    print(f"working for {name}")
    return f"done for {name}"
