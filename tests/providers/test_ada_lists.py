"""ADA's rows of accounts and templates, with every trap that was captured."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runner.providers import ada_lists
from runner.template import ButtonKind, HeaderKind, Template

ACCOUNT = {
    "id": "acc-1",
    "platform": "WA",
    "name": "DEMO",
    "accountNo": "60110000001",
    "status": "VERIFIED",
    "coreAppStatus": "CONNECTED",
}
ROW = {
    "id": "t-1", "wabaId": "1", "name": "order_update", "content": "Hi {{1}}", "body": "Hi {{1}}",
    "header": "", "headerType": "null", "footer": "", "status": "APPROVED", "category": "UTILITY",
    "type": "", "isDraft": False,
    "language": "en", "buttons": None, "carouselCards": None, "createdDate": "01 Apr 2026 03:36 PM",
    "bodyParameters": None, "footerParameters": None, "addSecurityRecomendation": False, "codeExpiration": 0,
    "otpType": None, "buttonText": None, "headerExample": None, "hash": None, "packageName": None,
    "isCallPermissionRequest": False,
}  # fmt: skip


def test_a_plain_row_is_a_template():
    assert ada_lists.read_template(ROW) == Template(
        id="t-1", name="order_update", language="en", status="APPROVED", category="UTILITY", body="Hi {{1}}"
    )


@pytest.mark.parametrize(
    ("kind", "header", "read", "text"),
    [
        ("null", "", HeaderKind.NONE, ""),
        ("", "", HeaderKind.NONE, ""),
        (None, None, HeaderKind.NONE, ""),
        ("TEXT", "", HeaderKind.NONE, ""),
        ("TEXT", "Hello {{1}}", HeaderKind.TEXT, "Hello {{1}}"),
        ("IMAGE", "https://scontent.whatsapp.net/a?oe=1", HeaderKind.IMAGE, ""),
        ("video", "https://scontent.whatsapp.net/a?oe=2", HeaderKind.VIDEO, ""),
        ("DOCUMENT", "", HeaderKind.DOCUMENT, ""),
        ("LOCATION", "x", HeaderKind.UNKNOWN, ""),
    ],
)
def test_a_header_is_read_in_each_of_its_spellings_and_no_expiring_url_is_kept(kind, header, read, text):
    template = ada_lists.read_template({**ROW, "headerType": kind, "header": header})
    assert (template.header_kind, template.header) == (read, text)


def test_buttons_keep_their_order_and_a_new_kind_is_unknown():
    buttons = [
        {"type": "QUICK_REPLY", "text": "Yes", "url": "", "phoneNumber": "", "example": "", "flow_id": None},
        {"type": "URL", "text": "Shop", "url": "https://x.example/{{1}}"},
        {"type": "VOICE_CALL", "text": None},
        "not a button",
    ]
    read = ada_lists.read_template({**ROW, "buttons": buttons}).buttons
    kinds = [button.kind for button in read]
    assert kinds == [ButtonKind.QUICK_REPLY, ButtonKind.URL, ButtonKind.UNKNOWN]
    assert (read[1].url, read[2].text) == ("https://x.example/{{1}}", "")


@pytest.mark.parametrize("changes", [{"carouselCards": [[{"type": "body"}]]}, {"type": "carousel"}])
def test_a_carousel_is_recognised(changes):
    assert ada_lists.read_template({**ROW, **changes}).is_carousel
    assert not ada_lists.read_template({**ROW, "carouselCards": []}).is_carousel


def test_only_an_approved_template_that_is_no_draft_may_be_sent():
    statuses = [{}, {"status": "approved"}, {"status": "PAUSED"}, {"status": None}, {"isDraft": True}]
    read = [ada_lists.read_template({**ROW, **changes}) for changes in statuses]
    assert [template.is_sendable for template in read] == [True, True, False, False, False]
    assert read[4].status == "DRAFT"


def test_a_body_under_its_older_name_is_read_and_a_row_without_a_name_is_not():
    assert ada_lists.read_template({**ROW, "body": None}).body == "Hi {{1}}"
    assert ada_lists.read_template({**ROW, "name": None}) is None
    assert ada_lists.read_template({**ROW, "language": ""}) is None


@pytest.mark.parametrize("number", ["60110000001", "+60 11-0000001", 60110000001])
def test_an_account_is_found_by_its_digits_on_whatsapp_only(number):
    others = [{**ACCOUNT, "platform": "LINE"}, {**ACCOUNT, "accountNo": "1"}, {**ACCOUNT, "id": None}]
    found = ada_lists.find_account([*others, {**ACCOUNT, "accountNo": number}], "60110000001")
    assert (found.id, found.number, found.name, found.warning) == ("acc-1", "60110000001", "DEMO", None)
    assert ada_lists.find_account(others, "60110000001") is None


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"status": "Unverified"}, "sends may fail: the sender's status is UNVERIFIED, not VERIFIED"),
        ({"coreAppStatus": "DISCONNECTED"}, "the sender's coreAppStatus is DISCONNECTED"),
        ({"status": "Unverified", "coreAppStatus": "DISCONNECTED"}, "VERIFIED and its coreAppStatus is"),
    ],
)
def test_an_account_that_is_not_connected_has_a_warning(changes, warning):
    assert warning in ada_lists.find_account([{**ACCOUNT, **changes}], "60110000001").warning


def test_an_account_without_a_status_has_no_warning():
    account = {key: value for key, value in ACCOUNT.items() if "tatus" not in key}
    assert ada_lists.find_account([account], "60110000001").warning is None


@pytest.mark.parametrize(
    ("document", "rows", "missing"),
    [
        ({"data": [{"a": 1}], "totalRecord": 1}, [{"a": 1}], 0),
        ({"data": [{"a": 1}], "totalRecord": 155}, [{"a": 1}], 154),
        ({"data": [{"a": 1}, 7], "pageTotal": 0}, [{"a": 1}], 0),
        ({"data": None, "totalRecord": 0}, [], 0),
        ({"data": [], "totalRecord": "many"}, [], 0),
        ({"data": "x"}, None, 0),
        ({}, None, 0),
        ([], None, 0),
        (None, None, 0),
    ],
)
def test_a_list_says_whether_rows_are_missing(document, rows, missing):
    assert ada_lists.rows_of(document) == rows
    assert ada_lists.missing_rows(document, len(rows or [])) == missing


_VALUE = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from([*ROW, *ACCOUNT]), _VALUE))
def test_no_row_however_strange_raises(row):
    ada_lists.read_template(row)
    ada_lists.find_account([row], "1")
