"""What every provider must do, whatever it speaks (docs/adding-a-provider.md); runs over all of them."""

import asyncio
import inspect
import subprocess
import sys

import pytest

from runner.delivery import Answer, Outcome, TemplateMessage, TextMessage
from runner.errors import ProviderError, UsageError
from runner.providers import provider, provider_names

KEY = "a-key-that-must-never-be-seen"
PHONE = "60120000002"
MESSAGES = [TemplateMessage(name="n", language="en", body=("a",)), TextMessage(text="hello")]

every_provider = pytest.mark.parametrize("name", provider_names())


def send(carrier, message=MESSAGES[0], departures=None):
    async def run():
        async with carrier:
            return await carrier.send(
                PHONE, message, "tag", (departures if departures is not None else []).append
            )

    return asyncio.run(run())


def test_the_providers_are_found_by_their_names():
    assert provider_names() == ("ada",)


@pytest.mark.parametrize("name", ["adda", "http", "ada_wire", "interface", "", "../ada", "ADA", "os"])
def test_a_name_that_no_provider_has_is_an_error_that_lists_them(settings, name):
    with pytest.raises(UsageError, match="no provider") as caught:
        provider(name, settings("https://x.example"), KEY)
    assert caught.value.hint == "the providers are: ada"


def test_finding_one_provider_loads_neither_another_nor_an_http_library():
    program = (
        "import sys; from runner.providers import provider\n"
        "from runner.project import ProviderSettings, Rate\n"
        "s = ProviderSettings(name='ada', url='http://127.0.0.1', sender='1', rate=Rate(per_second=5.0))\n"
        "provider('ada', s, 'k'); sys.exit(bool({'aiohttp', 'requests'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@every_provider
def test_the_key_is_never_shown(name, settings, closed_port):
    carrier = provider(name, settings(f"http://127.0.0.1:{closed_port}"), KEY)
    assert KEY not in repr(carrier)
    with pytest.raises(ProviderError) as caught:
        carrier.sender_account()
    assert KEY not in f"{caught.value} {caught.value.hint}"
    assert KEY not in repr(send(carrier))


@every_provider
def test_a_provider_that_is_down_is_a_one_line_error_with_a_hint(name, settings, closed_port):
    carrier = provider(name, settings(f"http://127.0.0.1:{closed_port}"), KEY)
    for call in (carrier.sender_account, carrier.templates):
        with pytest.raises(ProviderError) as caught:
            call()
        assert caught.value.hint
        assert "\n" not in caught.value.message


@every_provider
@pytest.mark.parametrize("message", MESSAGES)
def test_a_send_that_never_left_is_a_retry_without_a_departure(name, settings, closed_port, message):
    departures = []
    answer = send(provider(name, settings(f"http://127.0.0.1:{closed_port}"), KEY), message, departures)
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.departed_at, departures) == (Outcome.RETRY, None, [])
    assert answer.rule


@every_provider
@pytest.mark.parametrize("message", MESSAGES)
def test_a_send_without_an_answer_is_unknown_and_made_once(name, settings, serve, message):
    server = serve(lambda peer: (peer.request(), peer.reset()))
    departures = []
    answer = send(provider(name, settings(server.url), KEY), message, departures)
    assert (answer.outcome, [answer.departed_at]) == (Outcome.UNKNOWN, departures)
    assert len(server.requests) == 1


@every_provider
@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_redirect_is_never_followed(name, settings, serve, wire, status):
    target = serve(wire.accepted)
    server = serve(wire.http(status, b"", f"Location: {target.url}"))
    assert send(provider(name, settings(server.url), KEY)).outcome is Outcome.UNKNOWN
    with pytest.raises(ProviderError):
        provider(name, settings(server.url), KEY).sender_account()
    assert target.requests == []


@every_provider
@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_gateways_failure_is_unknown_and_never_retried_behind_our_back(name, settings, serve, wire, status):
    server = serve(wire.http(status, b"<html>bad gateway</html>"))
    assert send(provider(name, settings(server.url), KEY)).outcome is Outcome.UNKNOWN
    assert len(server.requests) == 1


@every_provider
def test_an_answer_without_evidence_is_not_taken_for_acceptance(name, settings, serve, wire):
    for body in (b"", b"OK", b"{}", b"[]", b"null"):
        server = serve(wire.http(200, body))
        assert send(provider(name, settings(server.url), KEY)).outcome is Outcome.UNKNOWN


@every_provider
def test_no_phone_is_in_an_answers_detail(name, settings, serve, wire):
    server = serve(wire.http(400, b'{"message":"bad number %s"}' % PHONE.encode()))
    assert PHONE not in repr(send(provider(name, settings(server.url), KEY)))


@every_provider
def test_a_provider_can_be_opened_again(name, settings, serve, wire):
    server = serve(wire.http(400, b"{}"))
    carrier = provider(name, settings(server.url), KEY)
    assert [send(carrier).outcome, send(carrier).outcome] == [Outcome.REFUSED, Outcome.REFUSED]


@every_provider
def test_closing_a_provider_that_is_not_open_does_nothing(name, settings):
    asyncio.run(provider(name, settings("http://127.0.0.1:1"), KEY).__aexit__(None, None, None))


@every_provider
def test_a_cancelled_send_is_not_swallowed(name, settings, serve):
    server = serve(lambda peer: (peer.request(), peer.server.over.wait(5)))

    async def run():
        async with provider(name, settings(server.url), KEY) as carrier:
            left = asyncio.Event()
            task = asyncio.ensure_future(carrier.send(PHONE, MESSAGES[0], "t", lambda at: left.set()))
            await left.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert server.seen(1)


@every_provider
def test_a_provider_promises_what_the_interface_says(name, settings):
    carrier = provider(name, settings("http://127.0.0.1:1"), KEY)
    assert inspect.iscoroutinefunction(carrier.send)
    assert list(inspect.signature(carrier.send).parameters) == ["phone", "message", "tag", "on_departure"]
