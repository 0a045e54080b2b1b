"""Who asked not to be messaged: the words that say stop, and the provider's error for it. Pure.

A word counts only when it is the whole message: "stop" is, "please do not stop" is not.
"""

from __future__ import annotations

import re
import unicodedata

#: How people say stop, by language (ISO 639). Several words stand for each other where a comma parts them.
STOP_WORDS: dict[str, str] = {
    "en": "stop, stop all, stop promotions, unsubscribe, unsub, opt out, quit",
    "id": "berhenti, hentikan, berhenti berlangganan, batal berlangganan, stop promo",
    "ms": "henti, berhenti, hentikan, batal langganan, nyahlanggan",
    "fil": "itigil, tigil, ihinto, hinto",
    "ja": "停止, 配信停止, 配信停止希望, 配信解除, 登録解除, 購読解除, 解除, ストップ",
    "zh": "停止, 停止订阅, 停止訂閱, 退订, 退訂, 取消订阅, 取消訂閱",
    "ko": "중지, 수신거부, 수신 거부",
    "th": "หยุด, หยุดส่ง, เลิกรับ, ยกเลิกการรับข่าวสาร",
    "vi": "dừng, ngừng, hủy đăng ký, huỷ đăng ký",
    "ta": "நிறுத்து, நிறுத்தவும்",
    "hi": "रोकें, बंद करें",
    "bn": "বন্ধ, বন্ধ করুন",
}

#: No message that is a stop word alone is longer, in characters.
_LONGEST = 60
#: WhatsApp's error for "the person stopped marketing messages of this business" (whatsapp-rules.md).
_OPTED_OUT = re.compile(r"(?<!\d)131050(?!\d)")


def stop_word(text: str) -> str | None:
    """Return the stop word that a whole message is, None where it is anything else."""
    if len(text) > _LONGEST:
        return None
    return _WORDS.get(_plain(text))


def says_opted_out(code: str | None, detail: str | None) -> bool:
    """Tell whether a provider's error says that the person stopped messages of this business."""
    return any(text is not None and _OPTED_OUT.search(text) is not None for text in (code, detail))


def _plain(text: str) -> str:
    """Reduce a text to its letters, their marks and digits: ` S-T-O-P!! ` and `ＳＴＯＰ` are `stop`."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum() or unicodedata.category(char)[0] == "M")


_WORDS = {_plain(word): word.strip() for words in STOP_WORDS.values() for word in words.split(",")}
