"""The provider `ada` as it is made, and its lists read over real HTTP."""

import gzip
import json
import os
import subprocess
import sys
import traceback
import tracemalloc

import pytest

from runner.errors import ProviderError, UsageError
from runner.providers.ada import AdaProvider

KEY = "eyJhbGciOiJIUzI1NiJ9.eyJzaWQiOiJhcGlrZXkifQ.c2lnbmF0dXJl"
ACCOUNT = {"id": "acc 1", "platform": "WA", "accountNo": "60110000001", "status": "VERIFIED"}


def listing(rows, **more):
    return json.dumps({"status": 200, "message": "Success", "data": rows, **more}).encode()


def row(name):
    return {
        "id": name,
        "name": name,
        "language": "en",
        "status": "APPROVED",
        "body": "Hi",
        "headerType": None,
    }


def lists(wire, **answers):
    """Make a script that answers by the path's last word: `account` or `template`."""

    def script(peer):
        while request := peer.request():
            target = request[0].split(b" ")[1].decode()
            name = target.partition("?")[0].rsplit("/", 1)[1]
            page = answers.get(f"{name}_page", answers[name]) if "pageSize" in target else answers[name]
            peer.write(wire.http(200, page))

    return script


def targets(server):
    return [head.split(b" ")[1].decode() for head, _ in server.requests]


def test_the_account_comes_before_the_templates_and_is_asked_for_once(serve, wire, settings):
    server = serve(
        lists(wire, account=listing([ACCOUNT]), template=listing([row("a"), row("b"), {"name": None}]))
    )
    provider = AdaProvider(settings(server.url + "/prod"), f" {KEY}\n")
    assert provider.sender_account().id == "acc 1"
    found = provider.templates()
    assert ([template.name for template in found.templates], found.complete) == (["a", "b"], True)
    assert targets(server) == ["/prod/account?platform=WA", "/prod/account/acc%201/template"]
    assert f"Authorization: Bearer {KEY}".encode() in server.requests[1][0]


def test_rows_that_the_list_left_out_are_asked_for_once_more(serve, wire, settings):
    account = listing([ACCOUNT], pageNo=0, pageSize=10, pageTotal=0, totalRecord=1)
    first = listing([row("a")], totalRecord=2)
    server = serve(lists(wire, account=account, template=first, template_page=listing([row("a"), row("b")])))
    found = AdaProvider(settings(server.url), KEY).templates()
    assert ([template.name for template in found.templates], found.complete) == (["a", "b"], True)
    assert targets(server)[-1] == "/account/acc%201/template?pageSize=2"


@pytest.mark.parametrize("second", ["the same rows", "no list"])
def test_rows_that_cannot_be_had_are_an_error_only_for_a_template_among_them(serve, wire, settings, second):
    first = listing([row("a")], totalRecord=2)
    page = first if second == "the same rows" else b"<html>"
    server = serve(lists(wire, account=listing([ACCOUNT]), template=first, template_page=page))
    found = AdaProvider(settings(server.url), KEY).templates()
    assert not found.complete
    found.require("a", "en")
    with pytest.raises(ProviderError, match="'b' in 'en' is not among the 1 templates that could be read"):
        found.require("b", "en")


def test_a_template_that_a_whole_list_does_not_hold_is_the_callers_to_say(serve, wire, settings):
    server = serve(lists(wire, account=listing([ACCOUNT]), template=listing([])))
    AdaProvider(settings(server.url), KEY).templates().require("b", "en")


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([], {}, "6011****001: none read"),
        ([{**ACCOUNT, "accountNo": "60120000002"}], {}, "1 read (6012****002)"),
        ([{**ACCOUNT, "accountNo": "60120000002"}], {"totalRecord": 11}, "10 more exist"),
    ],
)
def test_a_sender_that_ada_does_not_have_is_an_error(serve, wire, settings, rows, more, said):
    server = serve(lists(wire, account=listing(rows, **more)))
    with pytest.raises(ProviderError) as caught:
        AdaProvider(settings(server.url), KEY).templates()
    assert said in caught.value.message
    assert "providers.ada.sender" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body", "said", "hint"),
    [
        (400, b'{"status":400,"errorCode":10203}', "does not accept the API key", "ADA_API_KEY"),
        (401, b"", "does not accept the API key (status 401)", "ADA_API_KEY"),
        (403, b"{}", "does not accept the API key", "ADA_API_KEY"),
        (200, b'{"status":401,"data":[]}', "does not accept the API key", "ADA_API_KEY"),
        (200, b'{"errorCode":7,"message":"60120000002 is bad"}', "errorCode 7: 6012****002 is bad", "ADA"),
        (200, b"<html>", "was not answered with a list (status 200)", "ADA_API_URL"),
        (200, b'{"data":7}', "was not answered with a list", "ADA_API_URL"),
        (302, b"", "GET /account is redirected (status 302)", "ADA_API_URL"),
        (404, b"<html>", "is not found", "/prod"),
        (429, b"", "does not work now (status 429)", "later"),
        (502, b"<html>", "does not work now", "later"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_list_says_why_and_what_to_do(serve, wire, settings, status, body, said, hint):
    server = serve(wire.http(status, body, "Location: http://127.0.0.1:1/"))
    with pytest.raises(ProviderError) as caught:
        AdaProvider(settings(server.url), KEY).sender_account()
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message
    assert len(server.requests) == 1


def test_an_error_about_templates_does_not_show_the_accounts_id(serve, wire, settings):
    server = serve(lists(wire, account=listing([ACCOUNT]), template=b"[]"))
    with pytest.raises(ProviderError, match=r"GET /account/\.\.\./template was not"):
        AdaProvider(settings(server.url), KEY).templates()


def _trouble(settings, url, **changes):
    """Return the error of a list that cannot be read, after looking for the key in all of its traceback."""
    with pytest.raises(ProviderError) as caught:
        AdaProvider(settings(url, **changes), KEY).sender_account()
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in caught.value.message
    return caught.value


def test_nobody_listening_is_an_error_that_names_the_host_and_port(settings, closed_port):
    error = _trouble(settings, f"http://127.0.0.1:{closed_port}")
    assert error.message == f"ada: no connection to 127.0.0.1:{closed_port}: Connection refused"


def test_an_unknown_host_is_an_error(settings):
    assert "no connection to nowhere.invalid" in _trouble(settings, "http://nowhere.invalid").message


def test_a_certificate_that_nobody_vouches_for_is_an_error(serve, wire, settings, certificate):
    server = serve(wire.http(200, listing([ACCOUNT])), certificate[1])
    error = _trouble(settings, server.url)
    assert "no trusted TLS connection to 127.0.0.1" in error.message
    assert "REQUESTS_CA_BUNDLE" in error.hint
    assert server.requests == []


def test_a_certificate_bundle_named_in_the_environment_is_trusted(
    serve, wire, settings, certificate, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    server = serve(wire.http(200, listing([ACCOUNT])), certificate[1])
    assert AdaProvider(settings(server.url), KEY).sender_account().id == "acc 1"


def test_a_proxys_password_stays_out_of_its_error(settings, monkeypatch, closed_port):
    monkeypatch.setenv("https_proxy", f"http://user:word@127.0.0.1:{closed_port}")
    error = _trouble(settings, "https://ada.invalid")
    assert "the proxy opens no connection to ada.invalid" in error.message
    assert "word" not in error.message + error.hint


def test_a_proxy_that_requests_cannot_use_is_an_error(settings, monkeypatch):
    monkeypatch.setenv("https_proxy", "nonsense://127.0.0.1:1")
    assert _trouble(settings, "https://ada.invalid").hint


def test_a_netrc_entry_does_not_replace_the_key(serve, wire, settings, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(wire.http(200, listing([ACCOUNT])))
    AdaProvider(settings(server.url), KEY).sender_account()
    assert f"Authorization: Bearer {KEY}".encode() in server.requests[0][0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "no connection"),
        (b"SSH-2.0\r\n\r\n", "no connection"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"da', "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "broke off"),
    ],
)
def test_a_broken_answer_is_an_error(serve, settings, answer, said):
    server = serve(lambda peer: (peer.request(), peer.write(answer)))
    assert said in _trouble(settings, server.url).message


def test_silence_is_an_error_after_the_read_timeout(serve, settings):
    server = serve(lambda peer: (peer.request(), peer.server.over.wait(5)))
    assert "does not answer in time" in _trouble(settings, server.url, read_timeout=0.2).message


def test_silence_in_the_middle_of_the_body_is_an_error_too(serve, settings):
    def script(peer):
        peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        peer.server.over.wait(5)

    assert "does not answer in time" in _trouble(settings, serve(script).url, read_timeout=0.2).message


@pytest.mark.parametrize("chunked", [False, True])
def test_a_trickle_ends_at_the_deadline(serve, settings, monkeypatch, chunked):
    monkeypatch.setattr("runner.providers.http_get.CONNECT_SECONDS", 0.2)

    def script(peer):
        peer.request()
        form = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 999"
        peer.write(b"HTTP/1.1 200 OK\r\n" + form + b"\r\n\r\n")
        while not peer.server.over.wait(0.05):
            peer.write(b"1\r\n \r\n" if chunked else b" ")

    assert "too long or too slow" in _trouble(settings, serve(script).url, read_timeout=0.2).message


def test_an_endless_list_is_cut_off(serve, settings, monkeypatch):
    monkeypatch.setattr("runner.providers.http_get.MAX_ANSWER", 100_000)

    def script(peer):
        peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        while not peer.server.over.is_set():
            peer.write(b" " * 65536)

    assert "too long or too slow" in _trouble(settings, serve(script).url).message


def test_a_small_list_that_unpacks_to_an_endless_one_takes_no_memory(serve, wire, settings):
    bomb = gzip.compress(b" " * 300_000_000, compresslevel=1)
    server = serve(wire.http(200, bomb, "Content-Encoding: gzip"))
    tracemalloc.start()
    try:
        assert "too long or too slow" in _trouble(settings, server.url).message
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000_000


def test_the_key_is_in_no_representation(settings):
    provider = AdaProvider(settings("https://ada.example"), KEY)
    assert repr(provider) == "AdaProvider(url='https://ada.example', sender='6011****001')"


@pytest.mark.parametrize(
    "url",
    [None, "", "ada.example", "ftp://ada.example", "https://", "https://a/?k=v", "https://a/#f", "https://a:x/",
     "https://[::1", "https://user:word@ada.example"],
)  # fmt: skip
def test_an_address_that_cannot_work_is_an_error_that_does_not_repeat_it(settings, url):
    with pytest.raises(UsageError) as caught:
        AdaProvider(settings(url), KEY)
    assert caught.value.hint
    assert "word" not in caught.value.message.replace("password", "")


@pytest.mark.parametrize("key", ["", "  \n", "Bearer abc", "a\nb", "abc\u00e9", "a\x00"])
def test_a_key_that_cannot_be_one_is_an_error_that_does_not_show_it(settings, key):
    with pytest.raises(UsageError) as caught:
        AdaProvider(settings("https://ada.example"), key)
    assert "ADA_API_KEY" in caught.value.hint
    assert not key.strip() or key.strip() not in caught.value.message + caught.value.hint


def test_a_sender_without_digits_is_an_error(settings):
    with pytest.raises(UsageError, match="no sender"):
        AdaProvider(settings("https://ada.example", sender="+"), KEY)


def test_making_a_provider_loads_no_http_library():
    program = "import sys, runner.providers.ada; sys.exit(bool({'aiohttp', 'requests'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], env={**os.environ}).returncode == 0
