"""The JSON that ADA is sent."""

import json

import pytest

from runner.delivery import Media, TemplateMessage, TextMessage
from runner.errors import UsageError
from runner.providers.ada_wire import AdaOptions, TextHeader, UnsendableError, read_options, request_body


def body_of(message, options=None):
    return json.loads(request_body("60110000001", "60120000002", message, "c/o/p", options or AdaOptions()))


def template(**parts):
    return TemplateMessage(name="promo", language="id", **parts)


def test_every_value_of_a_template_is_a_string_in_order():
    body = body_of(template(body=("Ayu", "12,500", "LEBARAN25")))
    assert body["templateData"] == ["Ayu", "12,500", "LEBARAN25"]
    assert body["templateButton"] == []
    assert not {"payload", "header", "headerType", "fileName", "channel", "buttons"} & set(body)


def test_a_button_value_goes_into_the_list_of_its_own_button():
    parts = template(buttons=(None, "sku-1", None), button_kinds=("PHONE_NUMBER", "URL", "QUICK_REPLY"))
    body = body_of(parts)
    assert body["templateButton"] == [[], ["sku-1"], []]
    assert "payload" not in body


def test_quick_reply_payloads_have_one_entry_per_button():
    parts = template(buttons=("yes", None, "code"), button_kinds=("QUICK_REPLY", "QUICK_REPLY", "COPY_CODE"))
    body = body_of(parts)
    assert body["payload"] == ["yes", "", ""]
    assert body["templateButton"] == [[], [], ["code"]]


@pytest.mark.parametrize("file_name", [None, "menu.pdf"])
def test_a_media_header_is_a_url_with_its_kind_in_upper_case(file_name):
    media = Media(kind="document", url="https://x.example/menu.pdf", file_name=file_name)
    body = body_of(template(media=media))
    assert (body["headerType"], body["header"]) == ("DOCUMENT", "https://x.example/menu.pdf")
    assert body.get("fileName") == file_name


def test_a_text_headers_value_goes_into_the_header_or_before_the_body():
    message = template(header=("Ayu",), body=("1",))
    as_header = body_of(message)
    assert (as_header["headerType"], as_header["header"], as_header["templateData"]) == ("TEXT", "Ayu", ["1"])
    in_data = body_of(message, AdaOptions(text_header=TextHeader.TEMPLATE_DATA))
    assert in_data["templateData"] == ["Ayu", "1"]
    assert not {"header", "headerType"} & set(in_data)


def test_two_values_for_one_text_header_cannot_be_sent():
    with pytest.raises(UnsendableError, match="one value, this message has 2"):
        body_of(template(header=("a", "b")))


def test_channel_and_tag_are_the_projects_choice():
    body = body_of(TextMessage(text="Hi"), AdaOptions(channel="CONTACT", tag=False))
    assert body == {
        "platform": "WA",
        "from": "60110000001",
        "to": "60120000002",
        "channel": "CONTACT",
        "type": "text",
        "text": "Hi",
    }


def test_any_text_is_written_even_half_a_character():
    assert body_of(TextMessage(text="日本 🙂 \ud83d"))["text"] == "日本 🙂 \ud83d"


def test_options_are_read_as_the_project_writes_them():
    assert read_options({}) == AdaOptions()
    read = read_options({"text_header": "template_data", "channel": "LIVECHAT", "tag": False})
    assert read == AdaOptions(text_header=TextHeader.TEMPLATE_DATA, channel="LIVECHAT", tag=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chanel": "x"}, "providers.ada.chanel: found a key"),
        ({"text_header": "body"}, "providers.ada.text_header: found 'body'"),
        ({"text_header": []}, "providers.ada.text_header: found"),
        ({"channel": ""}, "providers.ada.channel: found ''"),
        ({"channel": 7}, "providers.ada.channel: found 7"),
        ({"tag": "no"}, "providers.ada.tag: found 'no'"),
    ],
)
def test_an_option_that_ada_does_not_have_is_an_error_that_names_it(options, message):
    with pytest.raises(UsageError) as caught:
        read_options(options)
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith("expected ")
