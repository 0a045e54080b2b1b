import json
import re
import time
import uuid

import pytest
import requests

from runner.sandbox.faults import FaultKind, parse_fault
from runner.sandbox.settings import AnswerShape, Latency, OverLimit, UnknownSender

# The first two are answered by the quick door, the last by aiohttp: the answers may not differ.
DOORS = ["/message", "/prod/message", "/message?by=aiohttp", "/prod/message?by=aiohttp"]
KEYS = [
    "id",
    "wabaId",
    "name",
    "content",
    "body",
    "header",
    "headerType",
    "footer",
    "status",
    "category",
    "type",
    "isDraft",
    "language",
    "buttons",
    "carouselCards",
    "createdDate",
    "bodyParameters",
    "footerParameters",
    "addSecurityRecomendation",
    "codeExpiration",
    "otpType",
    "buttonText",
    "headerExample",
    "hash",
    "packageName",
    "isCallPermissionRequest",
]


@pytest.mark.parametrize("path", DOORS)
def test_a_message_is_accepted_with_an_id_in_the_envelope(start, path):
    client = start()
    answer = client.send(path=path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json()
    message_id = document.pop("data")[0]
    assert document == {"status": 200, "errorCode": 0, "message": "Success"}
    assert uuid.UUID(message_id).version == 4
    (arrived,) = client.arrived()["messages"]
    assert arrived["id"] == message_id
    assert arrived["accepted"] is True
    assert arrived["tag1"] == "demo/once/60120000001"
    assert (arrived["template"], arrived["language"], arrived["body"]) == (
        "order_update",
        "en",
        ["Aina", "A-1001"],
    )


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer abc", "Bearer a.b", "Bearer a.b.c.d", "Basic a.b.c"]
)
def test_a_token_that_is_not_jwt_shaped_is_a_400_with_10203(start, path, header):
    client = start()
    headers = {} if header is None else {"Authorization": header}
    answer = client.session.post(
        client.running.url + path, json={"to": "60120000001"}, headers=headers, timeout=10
    )
    assert answer.status_code == 400
    assert answer.json() == {
        "status": 400,
        "errorCode": 10203,
        "message": "Invalid access token : token contains an invalid number of segments",
    }
    assert client.arrived()["accepted"] == 0


@pytest.mark.parametrize("path", ["/message", "/message?by=aiohttp"])
def test_an_expired_token_is_a_401(start, path, token):
    client = start()
    client.token = token(exp=time.time() - 1)
    answer = client.send(path=path)
    assert (answer.status_code, answer.json()["status"]) == (401, 401)
    client.token = token(exp=time.time() + 3600)
    assert client.send(path=path).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/prod"])
def test_a_token_is_checked_by_the_body_alone(start, prefix, token):
    client = start()
    url = f"{client.running.url}{prefix}/user/checkToken"

    def check(document):
        return client.session.post(url, json=document, timeout=10).status_code

    assert check({"accessToken": token()}) == 200
    assert check({"accessToken": "abc"}) == 400
    assert check({"accessToken": token(exp=1)}) == 401
    assert check(["no object"]) == 400


@pytest.mark.parametrize("prefix", ["", "/prod"])
def test_accounts_lead_to_templates(start, prefix):
    client = start(senders=("60110000001", "60110000002"))
    accounts = client.get(f"{prefix}/account?platform=WA").json()
    assert [account["accountNo"] for account in accounts["data"]] == ["60110000001", "60110000002"]
    assert list(accounts) == ["status", "message", "data", "pageNo", "pageSize", "pageTotal", "totalRecord"]
    assert (accounts["pageNo"], accounts["pageSize"], accounts["pageTotal"], accounts["totalRecord"]) == (
        0,
        10,
        0,
        2,
    )
    listing = client.get(f"{prefix}/account/{accounts['data'][1]['id']}/template").json()
    assert (listing["pageNo"], listing["pageSize"], listing["pageTotal"]) == (1, 200, 1)
    assert listing["totalRecord"] == len(listing["data"])
    assert all(list(template) == KEYS for template in listing["data"])


def test_account_and_template_ids_are_the_same_in_every_sandbox(start):
    def ids(client):
        account = client.get("/account").json()["data"][0]["id"]
        return account, [raw["id"] for raw in client.get(f"/account/{account}/template").json()["data"]]

    assert ids(start()) == ids(start())


def test_other_platforms_have_no_account_and_other_accounts_no_templates(start):
    client = start()
    assert client.get("/account?platform=LINE").json()["data"] == []
    assert client.get(f"/account/{uuid.uuid4()}/template").status_code == 404


def test_the_lists_want_a_token(start):
    client = start()
    client.token = "none"
    assert client.get("/account").json()["errorCode"] == 10203
    assert client.get("/account/x/template").status_code == 400


def test_the_shipped_templates_hold_the_traps(start):
    client = start()
    account = client.get("/account").json()["data"][0]["id"]
    path = f"/account/{account}/template"
    templates, again = client.get(path).json()["data"], client.get(path).json()["data"]
    assert {"null", "", "TEXT", "IMAGE", "VIDEO", "DOCUMENT"} <= {raw["headerType"] for raw in templates}
    assert any(raw["headerType"] == "TEXT" and raw["header"] == "" for raw in templates)
    assert any(raw["bodyParameters"] is None and "{{1}}" in raw["body"] for raw in templates)
    assert {"APPROVED", "PAUSED", "REJECTED"} <= {raw["status"] for raw in templates}
    assert {None, "", "custom", "carousel", "catalog"} <= {raw["type"] for raw in templates}
    names = [raw["name"] for raw in templates]
    assert names.count("lebaran_promo") == 2
    assert any(raw["buttons"] is None for raw in templates)
    kinds = {button["type"] for raw in templates for button in raw["buttons"] or []}
    assert kinds == {"QUICK_REPLY", "URL", "PHONE_NUMBER", "FLOW", "CATALOG"}
    assert any("{{1}}" in button["url"] for raw in templates for button in raw["buttons"] or [])
    media = [
        (a["header"], b["header"])
        for a, b in zip(templates, again, strict=True)
        if a["headerType"] == "IMAGE"
    ]
    assert all(
        first != second and first.startswith("https://scontent.whatsapp.net/") for first, second in media
    )
    assert all(re.fullmatch(r"\d\d \w{3} \d{4} \d\d:\d\d [AP]M", raw["createdDate"]) for raw in templates)


def test_the_projects_templates_are_listed_beside_the_shipped_ones(start, tmp_path):
    file = tmp_path / "templates.json"
    file.write_text(
        json.dumps([{"name": "mine", "language": "id", "body": "Hai {{1}}", "category": "UTILITY"}])
    )
    client = start(templates=file)
    account = client.get("/account").json()["data"][0]["id"]
    templates = client.get(f"/account/{account}/template").json()["data"]
    (mine,) = [raw for raw in templates if raw["name"] == "mine"]
    assert (mine["status"], mine["category"], mine["bodyParameters"]) == ("APPROVED", "UTILITY", ["sample 1"])


def test_media_is_served(start):
    answer = start().get("/message/media/00000000-0000-4000-8000-000000000001")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "text", "text": "Hello"},
        {"type": "button", "text": "Choose", "buttons": ["Yes", "No"], "footer": "x"},
        {
            "type": "list",
            "text": "Choose",
            "listTitle": "Menu",
            "listData": ["a", {"title": "b", "description": "c"}],
        },
        {
            "channel": "LIVECHAT",
            "headerType": "IMAGE",
            "header": "https://example.com/a.png",
            "fileName": "a.png",
        },
        {"templateName": "nobody_knows_this", "templateLang": "xx"},
        {"from": "60999999999"},
    ],
)
def test_every_known_shape_is_accepted_and_nothing_else_is_checked(start, fields):
    assert start().send(**fields).status_code == 200


@pytest.mark.parametrize("path", ["/message", "/message?by=aiohttp"])
@pytest.mark.parametrize(
    "fields",
    [
        {"platform": "SMS"},
        {"to": "+60120000001"},
        {"to": 60120000001},
        {"to": "６０１２３４５６"},
        {"to": ""},
        {"from": None},
        {"type": "sticker"},
        {"type": ["template"]},
        {"templateName": ""},
        {"templateLang": 3},
        {"templateData": "Aina"},
        {"templateData": ["Aina", 3]},
        {"type": "list", "text": "x", "listTitle": "y", "listData": {}},
    ],
)
def test_a_field_of_the_wrong_shape_is_a_400(start, path, fields):
    client = start()
    answer = client.send(path=path, **fields)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 10002)
    assert client.arrived()["accepted"] == 0


@pytest.mark.parametrize("path", ["/message", "/message?by=aiohttp"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"to": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_400_and_recorded(start, path, body):
    client = start()
    answer = client.session.post(client.running.url + path, data=body, headers=client.headers, timeout=10)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 10001)
    (arrived,) = client.arrived()["messages"]
    assert (arrived["to"], arrived["accepted"], arrived["answer"]) == ("", False, "400 10001")


def test_an_unknown_sender_can_be_refused(start):
    client = start(unknown_sender=UnknownSender.REFUSE)
    assert client.send(**{"from": "60999999999"}).status_code == 400
    assert client.send().status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"templateName": "no_such"}, 400),
        ({"templateLang": "id"}, 400),
        ({"templateName": "summer_sale", "templateData": ["Aina"]}, 400),
        ({"templateData": ["Aina"]}, 400),
        ({"templateData": ["Aina", "A-1001", "more"]}, 400),
        (
            {"templateName": "appointment_reminder", "templateLang": "ms", "templateData": ["a", "b", "c"]},
            200,
        ),
        (
            {
                "templateName": "appointment_reminder",
                "templateLang": "ms",
                "templateData": ["b", "c"],
                "headerType": "TEXT",
                "header": "a",
            },
            200,
        ),
        ({"type": "text", "text": "Hello"}, 200),
    ],
)
def test_a_strict_sandbox_refuses_what_whatsapp_would_fail_later(start, fields, status):
    assert start(strict_templates=True).send(**fields).status_code == status


@pytest.mark.parametrize(
    ("shape", "status", "has_id"),
    [
        (AnswerShape.CREATED, 201, True),
        (AnswerShape.BARE_ARRAY, 200, True),
        (AnswerShape.NO_ID, 200, False),
    ],
)
def test_the_shape_of_a_success_can_be_chosen(start, shape, status, has_id):
    answer = start(answer=shape).send()
    document = answer.json()
    data = document if isinstance(document, list) else document["data"]
    assert (answer.status_code, len(data) == 1) == (status, has_id)


def test_the_sixth_message_within_a_second_is_over_the_limit(start):
    client = start(limit=5.0, retry_after=1)
    answers = [client.send(to=f"6012000000{number}") for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].headers["Retry-After"] == "1"
    assert answers[5].json()["status"] == 429
    arrived = client.arrived()
    assert (arrived["total"], arrived["accepted"], arrived["over_limit"], arrived["max_per_second"]) == (
        6,
        5,
        1,
        6,
    )
    assert [message["over_limit"] for message in arrived["messages"]] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("over_limit", "status", "accepted"), [(OverLimit.BAD_REQUEST, 400, 2), (OverLimit.ACCEPT, 200, 3)]
)
def test_what_is_over_the_limit_gets_the_chosen_answer(start, over_limit, status, accepted):
    client = start(limit=2.0, over_limit=over_limit)
    last = [client.send(), client.send(), client.send()][-1]
    assert last.status_code == status
    arrived = client.arrived()
    assert (arrived["accepted"], arrived["over_limit"]) == (accepted, 1)


def test_the_same_message_twice_reaches_the_phone_twice(start):
    client = start()
    first, second = client.send(), client.send()
    assert first.json()["data"] != second.json()["data"]
    arrived = client.arrived()
    assert (arrived["accepted"], arrived["duplicates"], arrived["phones_repeated"]) == (2, 1, 1)
    assert [message["number"] for message in arrived["duplicated"]] == [2]


@pytest.mark.parametrize("path", ["/message", "/message?by=aiohttp"])
@pytest.mark.parametrize(
    ("fault", "status", "accepted"),
    [
        ("429::3s", 429, False),
        ("503", 503, False),
        ("400", 400, False),
        ("401", 401, False),
        ("500", 500, False),
        ("500::accepted", 500, True),
        ("html502", 502, False),
        ("html502::accepted", 502, True),
        ("html200", 200, True),
        ("error-in-200", 200, False),
        ("no-id", 200, True),
        ("bare-array", 200, True),
        ("201", 201, True),
        ("huge::2MB", 200, True),
        ("redirect", 307, False),
        ("slow-after-accept::20ms", 200, True),
    ],
)
def test_a_fault_answers_as_it_says_and_counts_as_it_says(start, path, fault, status, accepted):
    client = start(faults=(parse_fault(fault),))
    answer = client.send(path=path)
    assert answer.status_code == status
    (arrived,) = client.arrived()["messages"]
    assert arrived["accepted"] is accepted
    assert arrived["answer"] == f"fault {parse_fault(fault).kind.value}"


@pytest.mark.parametrize("path", ["/message", "/message?by=aiohttp"])
@pytest.mark.parametrize(
    ("fault", "accepted"),
    [
        ("reset-after-accept", True),
        ("reset-before-accept", False),
        ("truncated", True),
        ("drop::20ms", False),
    ],
)
def test_a_fault_that_breaks_the_connection_leaves_no_whole_answer(start, path, fault, accepted):
    client = start(faults=(parse_fault(fault),))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.send(path=path)
    assert client.arrived()["messages"][0]["accepted"] is accepted


def test_every_fault_has_been_tried_above():
    module = json.dumps(
        [
            mark.args
            for test in (
                test_a_fault_answers_as_it_says_and_counts_as_it_says,
                test_a_fault_that_breaks_the_connection_leaves_no_whole_answer,
            )
            for mark in test.pytestmark
        ]
    )
    assert all(f'"{kind.value}' in module for kind in FaultKind)


def test_the_bodies_of_faults_are_what_they_promise(start):
    client = start()

    def struck_by(fault):
        assert client.post("/sandbox/faults", {"faults": [fault]}).json()["faults"] == [fault]
        return client.send()

    assert struck_by("429::3s").headers["Retry-After"] == "3"
    assert struck_by("html502").headers["Content-Type"].startswith("text/html")
    wrong = struck_by("error-in-200").json()
    assert (wrong["status"], wrong["errorCode"] != 0) == (400, True)
    assert struck_by("no-id").json()["data"] == []
    assert len(struck_by("bare-array").json()) == 1
    huge = struck_by("huge::3MB")
    assert len(huge.content) == 3 * 1024 * 1024
    assert len(huge.json()["data"]) == 1


def test_who_follows_a_redirect_is_seen_to_send_twice(start):
    client = start(faults=(parse_fault("redirect"),))
    answer = client.send(path="/message")
    followed = client.send(path=answer.headers["Location"])
    assert followed.status_code == 200
    assert [message["accepted"] for message in client.arrived()["messages"]] == [False, True]


def test_a_slow_answer_outlasts_the_client_but_the_message_is_accepted(start):
    client = start(faults=(parse_fault("slow-after-accept:@60120000001:30s"),))
    with pytest.raises(requests.ReadTimeout):
        client.send(timeout=0.05)
    assert client.send(to="60120000002").status_code == 200
    assert client.arrived()["accepted"] == 2


@pytest.mark.parametrize("path", ["/message", "/message?by=aiohttp"])
def test_latency_delays_every_answer(start, path):
    client = start(latency=Latency(base=0.05, jitter=0.01))
    began = time.monotonic()
    assert client.send(path=path).status_code == 200
    assert time.monotonic() - began >= 0.04


def test_faults_can_be_changed_while_it_runs(start):
    client = start()
    assert client.get("/sandbox/faults").json()["faults"] == []
    client.post("/sandbox/faults", {"faults": ["503:@60120000001x1"]})
    assert [client.send().status_code for _ in range(2)] == [503, 200]
    refused = client.post("/sandbox/faults", {"faults": ["504"]})
    assert refused.status_code == 400
    assert "Did you mean" in refused.json()["hint"]
    assert client.post("/sandbox/faults", {"fault": "503"}).status_code == 400
    assert client.get("/sandbox/faults").json()["faults"] == ["503:@60120000001x1"]


def test_a_reset_forgets_the_messages_and_keeps_the_faults(start):
    client = start(faults=(parse_fault("503:#1"),))
    first, second = client.send(), client.send()
    assert (first.status_code, second.status_code) == (503, 200)
    assert client.post("/sandbox/reset").json()["total"] == 0
    assert client.send().status_code == 503
    third = client.send()
    assert third.json()["data"] != second.json()["data"]
    assert client.arrived()["total"] == 2


def test_messages_are_paged_and_filtered(start):
    client = start()
    for number in range(5):
        client.send(to=f"6012000000{number % 2}")
    first = client.arrived("?limit=2")
    assert ([message["number"] for message in first["messages"]], first["next"]) == ([1, 2], 2)
    last = client.arrived("?limit=2&since=3")
    assert ([message["number"] for message in last["messages"]], last["next"]) == ([4, 5], None)
    filtered = client.arrived("?to=60120000001")
    assert [message["number"] for message in filtered["messages"]] == [2, 4]
    assert filtered["total"] == 5
    assert client.get("/sandbox/messages.json?since=x").status_code == 400
    assert client.get("/sandbox/messages.json?limit=0").status_code == 400


def test_stats_are_counts_alone(start):
    client = start()
    client.send()
    stats = client.get("/sandbox/stats.json").json()
    assert (stats["format"], stats["total"], stats["answers"]) == (1, 1, {"200": 1})
    assert "60120000001" not in json.dumps(stats)
    assert [counts[1:] for counts in stats["series"]] == [[1, 1]]


def test_what_is_not_there_is_said_in_the_envelope(start):
    client = start()
    assert client.get("/nowhere").json()["status"] == 404
    assert client.get("/message").json()["status"] == 405


@pytest.mark.parametrize("path", ["/message", "/message?by=aiohttp"])
def test_a_body_too_large_is_a_413(start, path):
    answer = start().send(path=path, text="x" * 300_000)
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


@pytest.mark.parametrize("path", ["/sandbox", "/sandbox/messages.json", "/account"])
def test_a_foreign_host_header_is_turned_away(start, path):
    assert start().get(path, Host="evil.example").status_code == 403


def test_a_message_under_a_foreign_host_header_does_not_arrive(start):
    client = start()
    answer = client.post("/message", {}, Host="evil.example:80")
    assert answer.status_code == 403
    assert client.arrived()["total"] == 0


def test_another_sites_page_cannot_change_the_sandbox(start):
    client = start()
    client.send()
    assert client.post("/sandbox/reset", Origin="https://evil.example").status_code == 403
    assert client.arrived()["total"] == 1
    assert client.post("/sandbox/reset", Origin=client.running.url).status_code == 200


def test_a_message_in_chunks_is_read_like_any_other(start):
    client = start()
    parts = [b'{"platform":"WA","from":"60110000001","to":"60120000001",', b'"type":"text","text":"Hi"}']
    answer = client.session.post(
        f"{client.running.url}/message", data=iter(parts), headers=client.headers, timeout=10
    )
    assert answer.status_code == 200
    assert client.arrived()["messages"][0]["type"] == "text"
