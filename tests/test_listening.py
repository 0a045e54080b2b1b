import asyncio

import pytest

from runner.errors import UsageError
from runner.listening import listen, url_of


def test_a_free_port_is_found_and_told():
    async def run():
        listener = await listen(asyncio.Protocol, "127.0.0.1", 0, name="the server")
        async with listener:
            return url_of(listener), listener.sockets[0].getsockname()[1]

    url, port = asyncio.run(run())
    assert url == f"http://127.0.0.1:{port}"


def test_a_port_that_is_taken_is_an_error_in_one_line():
    async def run():
        async with await listen(asyncio.Protocol, "127.0.0.1", 0, name="the server") as taken:
            port = taken.sockets[0].getsockname()[1]
            with pytest.raises(UsageError, match=rf"^the server cannot listen on 127\.0\.0\.1 port {port}: "):
                await listen(asyncio.Protocol, "127.0.0.1", port, name="the server")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("192.0.2.7", "192.0.2.7")],
)
def test_an_address_that_means_all_is_asked_by_loopback(bound, asked):
    class Socket:
        def getsockname(self):
            return (bound, 8080, 0, 0)

    class Listener:
        sockets = (Socket(),)

    assert url_of(Listener()) == f"http://{asked}:8080"
