from defer_client import defer


@defer.cron("0 8 * * *")
async def function_name() -> None:
    """Say what this cron does: `defer functions` shows it. Its times are UTC."""
    print("working on schedule")
