import asyncio

from defer_client import defer


@defer
async def runs_node(node: str, script: str) -> str:
    """What the script prints. The script's calls are children of this execution."""
    process = await asyncio.create_subprocess_exec(node, script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().splitlines()[-1]
