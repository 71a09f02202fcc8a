from defer_client import defer


@defer.cron("0 3 * * *")
async def nightly() -> None:
    pass
