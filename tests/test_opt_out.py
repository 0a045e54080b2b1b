"""runner.opt_out: the words that say stop, and the provider's error for it."""

import pytest

from runner.opt_out import STOP_WORDS, says_opted_out, stop_word


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop. ", "S.T.O.P!!", "ＳＴＯＰ", "stop 🙏", "\u200bSTOP\u200b", "UNSUBSCRIBE",
        "Opt-out",
        "BERHENTI", "Berhenti berlangganan", "henti", "HENTI!", "停止", "配信停止", "「配信停止」", "ｽﾄｯﾌﾟ",
        "解除。",
        "退订", "退訂", "수신 거부", "หยุด", "Dừng", "நிறுத்து", "बंद करें",
    ],
)  # fmt: skip
def test_a_message_that_is_a_stop_word_in_whatever_writing_says_stop(text):
    assert stop_word(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "!!!", "please do not stop", "stop sending me this", "don't stop", "nonstop", "bus stop",
        "停止しないで",
        "jangan berhenti", "OK", "はい", "cancel", "end", "1", "STOP " * 50,
    ],
)  # fmt: skip
def test_any_other_message_does_not(text):
    assert stop_word(text) is None


def test_every_word_of_the_list_says_stop_and_is_what_is_kept():
    for words in STOP_WORDS.values():
        for word in words.split(","):
            assert stop_word(word)


@pytest.mark.parametrize(
    ("code", "detail", "expected"),
    [
        ("131050", None, True),
        (None, "(#131050) User has stopped marketing", True),
        ("400", "error 131050.", True),
        ("1310500", "9131050", False),
        ("131026", "not a WhatsApp user", False),
        (None, None, False),
    ],
)
def test_the_providers_error_for_an_opt_out_is_found_in_code_or_detail(code, detail, expected):
    assert says_opted_out(code, detail) is expected
