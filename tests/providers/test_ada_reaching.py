"""The way from the provider `ada` to its server: names, TLS, certificates, proxies, netrc."""

import asyncio
import socket
import threading

import pytest

from runner.delivery import Outcome, TemplateMessage
from runner.errors import ProviderError
from runner.providers.ada import AdaProvider

KEY = "eyJhbGciOiJIUzI1NiJ9.eyJzaWQiOiJhcGlrZXkifQ.c2lnbmF0dXJl"
MESSAGE = TemplateMessage(name="order_update", language="en", body=("Aina", "A-1001"))


def send(settings):
    """Send one message; returns its answer."""

    async def run():
        async with AdaProvider(settings, KEY) as provider:
            return await provider.send("60120000002", MESSAGE, "c/o/1")

    return asyncio.run(run())


def test_nobody_listening_is_a_retry_that_never_left(settings, closed_port):
    answer = send(settings(f"http://127.0.0.1:{closed_port}"))
    assert (answer.outcome, answer.rule, answer.departed_at) == (Outcome.RETRY, "never_left", None)
    assert "not opened" in answer.detail


def test_an_unknown_host_is_a_retry(settings):
    answer = send(settings("http://nowhere.invalid"))
    assert (answer.outcome, answer.rule) == (Outcome.RETRY, "never_left")
    assert "host name" in answer.detail


def test_a_connection_that_does_not_open_in_time_is_a_retry(serve, settings, certificate, monkeypatch):
    """The server takes the connection and never answers the TLS handshake."""
    monkeypatch.setattr("runner.providers.http_post.CONNECT_SECONDS", 0.3)
    server = serve(lambda peer: peer.server.over.wait(5))
    answer = send(settings(server.url.replace("http:", "https:")))
    assert (answer.outcome, answer.rule) == (Outcome.RETRY, "never_left")
    assert "in time" in answer.detail


def test_a_certificate_that_nobody_vouches_for_gets_no_request(serve, wire, settings, certificate):
    server = serve(wire.accepted, certificate[1])
    answer = send(settings(server.url))
    assert (answer.outcome, answer.rule) == (Outcome.RETRY, "never_left")
    assert "TLS" in answer.detail
    assert server.requests == []


def test_a_certificate_bundle_named_in_the_environment_is_trusted(
    serve, wire, settings, certificate, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    server = serve(wire.accepted, certificate[1])
    assert send(settings(server.url)).outcome is Outcome.ACCEPTED


def test_a_server_without_tls_behind_an_https_address_gets_no_request(serve, wire, settings):
    server = serve(lambda peer: peer.write(b"HTTP/1.1 400 Bad\r\n\r\n"))
    answer = send(settings(server.url.replace("http:", "https:")))
    assert (answer.outcome, answer.rule) == (Outcome.RETRY, "never_left")


def test_a_netrc_entry_does_not_replace_the_key(serve, wire, settings, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(wire.accepted)
    assert send(settings(server.url)).outcome is Outcome.ACCEPTED
    assert f"Authorization: Bearer {KEY}".encode() in server.requests[0][0]


def test_a_proxy_of_the_environment_is_used_with_its_password(serve, wire, settings, monkeypatch):
    proxy = serve(wire.accepted)
    monkeypatch.setenv("HTTP_PROXY", "")
    monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://user:word@"))
    assert send(settings("http://ada.invalid")).outcome is Outcome.ACCEPTED
    [(head, _)] = proxy.requests
    assert head.startswith(b"POST http://ada.invalid/message HTTP/1.1")
    assert b"Proxy-Authorization: Basic " in head
    assert f"Authorization: Bearer {KEY}".encode() in head


def test_a_proxy_is_not_given_the_key_as_its_own_password(serve, wire, settings, monkeypatch):
    """aiohttp would, for headers that belong to its session."""
    proxy = serve(wire.accepted)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert send(settings("http://ada.invalid")).outcome is Outcome.ACCEPTED
    assert b"proxy-authorization" not in proxy.requests[0][0].lower()


def test_a_host_in_no_proxy_is_reached_directly(serve, wire, settings, monkeypatch, closed_port):
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{closed_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert send(settings(serve(wire.accepted).url)).outcome is Outcome.ACCEPTED


def test_a_proxy_that_opens_no_tunnel_is_a_retry_and_hides_its_password(serve, wire, settings, monkeypatch):
    proxy = serve(wire.http(403, b"no"))
    monkeypatch.setenv("https_proxy", proxy.url.replace("http://", "http://user:word@"))
    answer = send(settings("https://ada.invalid"))
    assert (answer.outcome, answer.rule) == (Outcome.RETRY, "never_left")
    assert answer.detail == "the proxy opened no connection: status 403"
    assert proxy.requests[0][0].startswith(b"CONNECT ada.invalid:443")


def test_a_proxy_that_is_not_there_is_a_retry(settings, monkeypatch, closed_port):
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{closed_port}")
    answer = send(settings("http://ada.invalid"))
    assert (answer.outcome, answer.rule) == (Outcome.RETRY, "never_left")
    assert "proxy" in answer.detail


def test_a_socks_proxy_is_refused_before_anything_is_sent(settings, monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://user:word@127.0.0.1:1080")
    with pytest.raises(ProviderError, match="a socks5 proxy") as caught:
        send(settings("https://ada.invalid"))
    assert "word" not in str(caught.value)


def _pump(source, target):
    """Copy bytes until either side is gone."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_request_goes_through_a_proxys_tunnel_encrypted(serve, wire, settings, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    server = serve(wire.accepted, certificate[1])

    def tunnel(peer):
        peer.request()
        with socket.create_connection(("127.0.0.1", server.port)) as far:
            peer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(far, peer.sock))
            back.start()
            _pump(peer.sock, far)
            back.join()

    proxy = serve(tunnel)
    monkeypatch.setenv("https_proxy", proxy.url)
    assert send(settings(server.url)).outcome is Outcome.ACCEPTED
    assert proxy.requests[0][0].startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    assert KEY.encode() not in proxy.requests[0][0]
    assert f"Authorization: Bearer {KEY}".encode() in server.requests[0][0]
