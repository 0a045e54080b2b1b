"""runner.receipts.listening: kept before it is answered, bounded, and for those who know the secret."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing

import aiohttp
import pytest

from runner.cli.gates import ForgottenGate
from runner.clock import SteadyClock
from runner.errors import LedgerError
from runner.ledger import open_ledger
from runner.ledger.webhooks import WebhookKind
from runner.receipts import listening as module
from runner.receipts.listening import ListenerSettings, WebhookServer, listening
from tests.virtual_time import VirtualClock, run_virtually

LEDGER = "sqlite:///ledger.db"
SECRET = "a-secret-of-many-letters"


def webhook(number=1, event="MessageStatus", **data):
    whole = {"id": f"id{number}", "custNo": f"62812300{number:05d}", "status": "delivered", **data}
    return {"eventType": event, "platform": "WA", "accountNo": "60110000001", "data": whole}


@pytest.fixture
def talk(tmp_path):
    """Run steps against a listener: a coroutine function of it, its URL and a client."""

    def talk(steps, **changes):
        settings = ListenerSettings(
            ledger=LEDGER,
            root=tmp_path,
            scratch=tmp_path,
            forgotten=ForgottenGate(None),
            **{"timezone": "Asia/Jakarta", **changes},
        )

        async def run():
            async with listening(settings, SteadyClock()) as listener, aiohttp.ClientSession() as client:
                return await steps(listener, client)

        return asyncio.run(run())

    return talk


def kept(tmp_path):
    with closing(open_ledger(LEDGER, root=tmp_path, read_only=True)) as ledger:
        return ledger.open_webhooks([f"62812300{number:05d}" for number in range(100)], 1000)


async def status_of(client, url, method="POST", **options):
    async with client.request(method, url, **options) as answer:
        return answer.status


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_webhook_is_on_disk_once_it_is_answered(talk, tmp_path, method):
    async def steps(listener, client):
        assert await status_of(client, listener.url, method, json=webhook()) == 200
        return [(each.message_id, each.phone) for each in kept(tmp_path)]

    assert talk(steps) == [("id1", "6281230000001")]


def test_it_is_not_answered_before_it_is_on_disk(talk, tmp_path, monkeypatch):
    opened = asyncio.Event()

    async def steps(listener, client):
        sending = asyncio.ensure_future(status_of(client, listener.url, json=webhook()))
        await asyncio.sleep(0.2)
        early = sending.done()
        opened.set()
        return early, await sending

    add = module.WebhookJournal.add

    async def late(self, told):
        await opened.wait()
        await add(self, told)

    monkeypatch.setattr(module.WebhookJournal, "add", late)
    assert talk(steps) == (False, 200)


def test_many_at_once_are_kept_each_once(talk, tmp_path):
    async def steps(listener, client):
        sent = [status_of(client, listener.url, json=webhook(number)) for number in range(90)]
        assert set(await asyncio.gather(*sent)) == {200}
        return listener.arrived["receipts"]

    assert talk(steps) == 90
    assert sorted(each.message_id for each in kept(tmp_path)) == sorted(f"id{n}" for n in range(90))


def test_a_stop_is_an_opt_out_once_it_is_answered(talk, tmp_path):
    async def steps(listener, client):
        assert await status_of(client, listener.url, json=webhook(event="Message", text="Berhenti")) == 200
        with closing(open_ledger(LEDGER, root=tmp_path, read_only=True)) as ledger:
            return ledger.opt_out("6281230000001").detail

    assert talk(steps) == "berhenti"


def test_of_any_other_message_nothing_is_kept(talk, tmp_path):
    async def steps(listener, client):
        assert await status_of(client, listener.url, json=webhook(event="Message", text="my secret")) == 200
        return dict(listener.arrived)

    assert talk(steps) == {"other": 1}
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert b"my secret" not in stored
    assert b"6281230000001" not in stored


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"\xff\xfe", 400),
        (b"[" * 50_000, 400),
        (b"{}", 400),
        (json.dumps(webhook(text="x" * 70_000)).encode(), 413),
    ],
)
def test_what_is_no_webhook_or_too_long_is_refused(talk, tmp_path, body, expected):
    async def steps(listener, client):
        return await status_of(client, listener.url, data=body), listener.arrived["refused"]

    assert talk(steps) == (expected, 1)
    assert kept(tmp_path) == []


def test_other_methods_are_refused(talk):
    async def steps(listener, client):
        return await status_of(client, listener.url, "GET")

    assert talk(steps) == 405


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        (f"/{SECRET}", {}, 200),
        (f"/webhooks/ada/{SECRET}", {}, 200),
        ("/", {"X-Webhook-Secret": SECRET}, 200),
        ("/", {}, 401),
        ("/wrong", {}, 401),
        (f"/{SECRET}x", {}, 401),
        (f"/{SECRET}/", {}, 401),
        (f"/{SECRET}", {"X-Webhook-Secret": "wrong"}, 401),
        ("/", {"X-Webhook-Secret": SECRET[:-1]}, 401),
        ("/é", {}, 401),
    ],
)
def test_with_a_secret_only_who_knows_it_is_heard(talk, tmp_path, path, headers, expected):
    async def steps(listener, client):
        return await status_of(client, listener.url + path, json=webhook(), headers=headers)

    assert talk(steps, secret=SECRET) == expected
    assert len(kept(tmp_path)) == (expected == 200)


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_without_a_secret_no_web_page_gets_through(talk, tmp_path, headers):
    async def steps(listener, client):
        return await status_of(client, listener.url, json=webhook(), headers=headers)

    assert talk(steps, allows=lambda host: host.startswith("127.0.0.1")) == 401
    assert kept(tmp_path) == []


def test_the_secret_is_in_no_text_of_the_settings(tmp_path):
    settings = ListenerSettings(
        ledger="", root=tmp_path, scratch=tmp_path, forgotten=ForgottenGate(None), secret=SECRET
    )
    assert SECRET not in repr(settings)


def test_when_the_ledger_cannot_keep_it_the_sender_is_told_to_come_again(tmp_path):
    async def full(_):
        raise LedgerError("the disk is full")

    settings = ListenerSettings(ledger="", root=tmp_path, scratch=tmp_path, forgotten=ForgottenGate(None))
    server = WebhookServer(settings, full)

    async def run():
        runner = aiohttp.web.AppRunner(server.application())
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.post(f"http://{host}:{port}", json=webhook()) as answer,
            ):
                return answer.status, answer.headers["Retry-After"]
        finally:
            await runner.cleanup()

    assert asyncio.run(run()) == (503, "30")
    assert (server.arrived["failed"], server.arrived["receipts"]) == (1, 0)
    assert "disk is full" in server.failures[0].message


def test_a_body_that_never_ends_is_cut(talk, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)

    async def endless():
        yield b"{"
        await asyncio.sleep(30)

    async def steps(listener, client):
        return await status_of(client, listener.url, data=endless())

    assert talk(steps) == 408


@pytest.mark.parametrize("begun", [b"", b"POST / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_connection_that_never_comes_to_a_request_is_cut(talk, monkeypatch, begun):
    monkeypatch.setattr(module, "PATIENCE", 0.2)

    async def steps(listener, client):
        host, port = listener.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(begun)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    assert talk(steps) == b""


def test_connections_past_the_limit_are_cut_at_once(talk, monkeypatch):
    monkeypatch.setattr(module, "_MOST_CONNECTIONS", 1)

    async def steps(listener, client):
        host, port = listener.url.removeprefix("http://").split(":")
        first, second = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        try:
            gone = await asyncio.wait_for(second[0].read(), 5)
        except ConnectionResetError:
            gone = b""
        second[1].close()
        first[1].write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answered = await asyncio.wait_for(first[0].read(12), 5)
        first[1].close()
        return gone, answered

    assert talk(steps) == (b"", b"HTTP/1.1 405")


def test_what_an_earlier_listener_kept_is_matched_by_the_next(talk, tmp_path):
    with closing(open_ledger(LEDGER, root=tmp_path)) as ledger:
        told = module.read_webhook(webhook())
        assert told.kind is WebhookKind.STATUS
        ledger.add_webhooks([told], 1_700_000_000.0)

    async def steps(listener, _):
        for _ in range(500):
            await asyncio.sleep(0 if listener.settled else 0.02)
        return dict(listener.settled)

    assert talk(steps) == {"no_delivery": 1}


class Thread:
    """A ledger's thread whose ledger cannot be used so many times."""

    def __init__(self, failures):
        self.failures = failures
        self.calls = 0

    async def call(self, work):
        self.calls += 1
        if self.calls <= self.failures:
            raise LedgerError("the server is gone")
        return work(self)

    def due_webhooks(self, now, limit):
        return []


def match_for(thread, seconds):
    """Match against a ledger's thread for some time; return the failures that are told."""
    failures = []

    async def run():
        matcher = module._Matcher(
            settler=module.Settler(None, None),
            ledger=thread,
            clock=VirtualClock(),
            kept=asyncio.Event(),
            stopping=asyncio.Event(),
            failures=failures,
        )
        asyncio.get_running_loop().call_later(seconds, matcher.stopping.set)
        await matcher.match_always()

    run_virtually(run())
    return failures


def test_a_ledger_that_comes_back_is_used_again():
    thread = Thread(failures=3)
    assert len(match_for(thread, 60)) == 1
    assert thread.calls > 10


def test_a_ledger_that_is_gone_for_half_a_minute_ends_the_listener():
    thread = Thread(failures=100)
    with pytest.raises(LedgerError, match="server is gone"):
        match_for(thread, 600)
    assert thread.calls == 6
