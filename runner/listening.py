"""Listen on a port, for the servers of this package: the sandboxes, and the listener for webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runner.errors import UsageError

_BACKLOG = 1024


async def listen(door: Callable[[], asyncio.Protocol], host: str, port: int, *, name: str) -> asyncio.Server:
    """Listen at `host` and `port` (0: any that is free) for connections that `door` makes protocols for.

    UsageError where that cannot be; it begins with `name`, whose server it is.
    """
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(door, host, port, backlog=_BACKLOG)
    except OSError as problem:
        raise UsageError(
            f"{name} cannot listen on {host} port {port}: {problem.strerror}",
            hint="choose another port, or 0 for any that is free",
        ) from problem


def url_of(listener: asyncio.Server) -> str:
    """Return an address at which the server can be asked from this machine."""
    host, port = listener.sockets[0].getsockname()[:2]
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - named, not bound
    name = everywhere.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
