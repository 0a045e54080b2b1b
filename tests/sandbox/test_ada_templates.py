import json

import pytest

from runner.errors import UsageError
from runner.sandbox.ada_templates import Catalog, account_id, read_templates
from runner.template import ButtonKind, HeaderKind

SENDER = "60110000001"


def write(tmp_path, document):
    path = tmp_path / "templates.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def listed(tmp_path, entry):
    catalog = Catalog(senders=[SENDER], templates=write(tmp_path, [entry]))
    (raw,) = [
        raw
        for raw in catalog.listing()
        if (raw["name"], raw["language"]) == (entry["name"], entry["language"])
    ]
    return raw, catalog.find(entry["name"], entry["language"])


def test_a_whole_template_is_expanded_to_adas_shape(tmp_path):
    raw, template = listed(
        tmp_path,
        {
            "name": "mine",
            "language": "id",
            "category": "UTILITY",
            "status": "PAUSED",
            "header": {"kind": "text", "text": "Halo {{1}}"},
            "body": "Hai {{1}} {{2}}",
            "footer": "Toko",
            "samples": ["Ayu", "3"],
            "buttons": [
                {"kind": "url", "text": "Buka", "url": "https://example.com/{{1}}"},
                {"kind": "PHONE_NUMBER", "text": "Telepon", "phone": "+6281"},
            ],
        },
    )
    assert (raw["headerType"], raw["header"], raw["headerExample"]) == ("TEXT", "Halo {{1}}", ["sample"])
    assert (raw["content"], raw["bodyParameters"], raw["status"]) == (
        "Hai {{1}} {{2}}",
        ["Ayu", "3"],
        "PAUSED",
    )
    assert raw["buttons"][0]["url"] == "https://example.com/{{1}}"
    assert raw["buttons"][1] == {
        "type": "PHONE_NUMBER",
        "text": "Telepon",
        "url": "",
        "phoneNumber": "+6281",
        "example": "",
        "flow_id": None,
    }
    assert (template.header_kind, template.header, template.is_sendable) == (
        HeaderKind.TEXT,
        "Halo {{1}}",
        False,
    )
    assert [button.kind for button in template.buttons] == [ButtonKind.URL, ButtonKind.PHONE_NUMBER]


def test_a_media_header_shows_a_signed_url_and_keeps_its_example(tmp_path):
    raw, template = listed(
        tmp_path,
        {
            "name": "photo",
            "language": "en",
            "header": {"kind": "IMAGE", "example": "https://example.com/a.png"},
            "body": "Look",
        },
    )
    assert raw["header"].startswith("https://scontent.whatsapp.net/")
    assert raw["headerExample"] == ["https://example.com/a.png"]
    assert (template.header_kind, template.header) == (HeaderKind.IMAGE, "")


def test_a_projects_template_replaces_a_shipped_one_of_the_same_name_and_language(tmp_path):
    raw, _ = listed(tmp_path, {"name": "order_update", "language": "en", "body": "Mine"})
    assert (raw["body"], raw["bodyParameters"], raw["buttons"]) == ("Mine", None, None)


def test_an_account_is_known_by_its_id():
    catalog = Catalog(senders=[SENDER])
    assert catalog.has_account(account_id(SENDER))
    assert not catalog.has_account(account_id("60110000002"))


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ("{", "not JSON"),
        ({"name": "x"}, "found no list"),
        (["x"], "template 1 is not an object"),
        ([{"name": "a", "language": "en", "body": "x", "colour": 1}], "unknown key 'colour'"),
        ([{"name": "a", "language": "en"}], "no text as its 'body'"),
        ([{"name": "a", "language": 1, "body": "x"}], "no text as its 'language'"),
        ([{"name": "A b", "language": "en", "body": "x"}], "the name 'A b'"),
        ([{"name": "a", "language": "en", "body": "x", "footer": 1}], "'footer' is not text"),
        ([{"name": "a", "language": "en", "body": "x", "samples": "y"}], "'samples' is not a list"),
        ([{"name": "a", "language": "en", "body": "x", "samples": [1]}], "'samples' is not a list"),
        ([{"name": "a", "language": "en", "body": "x", "header": {"kind": "GIF"}}], "header's kind"),
        ([{"name": "a", "language": "en", "body": "x", "header": "Hi"}], "header's kind"),
        ([{"name": "a", "language": "en", "body": "x", "header": {"kind": "TEXT"}}], "header has no text"),
        ([{"name": "a", "language": "en", "body": "x", "buttons": {}}], "'buttons' is not a list"),
        ([{"name": "a", "language": "en", "body": "x", "buttons": [{"kind": "BIG"}]}], "kind of button 1"),
        (
            [{"name": "a", "language": "en", "body": "x", "buttons": [{"kind": "URL"}]}],
            "button 1 has no text",
        ),
    ],
)
def test_a_templates_file_with_a_mistake_is_refused_with_what_it_is(tmp_path, document, found):
    with pytest.raises(UsageError, match=r"templates\.json") as caught:
        read_templates(write(tmp_path, document))
    assert found in caught.value.message
    assert caught.value.hint


def test_a_templates_file_that_is_missing_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_templates(tmp_path / "none.json")
