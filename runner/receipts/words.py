"""What reports call things in English, Indonesian and Japanese: headers and statuses; for mapping.

The columns of ADA's own export are not public (reference/ada-api.md §13), so these are the names in common
use. A word that is used in two senses is left out: it is asked for, never guessed.
"""

from __future__ import annotations

import unicodedata

from runner.delivery import ReceiptStatus

#: What a report can tell of a message -> the headers that plainly say it, as `plain` writes them.
HEADERS: dict[str, frozenset[str]] = {
    field: frozenset(names.split())
    for field, names in {
        "phone": "phone phonenumber phoneno mobile mobileno mobilenumber mobilephone msisdn recipient "
        "recipientnumber recipientphone to tonumber tophone customerno customernumber customerphone custno "
        "destination destinationnumber contactnumber contactno waid whatsappnumber receiver receivernumber "
        "nomorhp nohp nomorponsel nomortelepon notelepon notelp nomortujuan notujuan nomorpenerima penerima "
        "nomorwhatsapp nowhatsapp nomorwa nowa "
        "電話番号 携帯番号 携帯電話番号 携帯電話 宛先 宛先番号 送信先 送信先番号 受信者番号",
        "status": "status messagestatus msgstatus deliverystatus currentstatus deliverystate "
        "statuspesan statuspengiriman "
        "ステータス 状態 配信ステータス 配信状況 送信ステータス 送信状況 配信結果 送信結果",
        "at": "timestamp datetime time date eventtime statustime statusat statusdate statustimestamp "
        "updatedat updatedtime lastupdated lastupdate msgtime messagetime "
        "waktu waktustatus tanggal tanggalwaktu tanggalstatus 日時 時刻 更新日時 ステータス日時 配信日時",
        "message_id": "messageid msgid messageuuid wamid idpesan メッセージid",
        "sender": "sender sendernumber senderno from fromnumber accountno accountnumber businessnumber "
        "wabanumber pengirim nomorpengirim 送信元 送信元番号 発信元 発信者番号 差出人",
        "campaign": "campaign campaignname kampanye namakampanye キャンペーン キャンペーン名",
        "code": "code errorcode failurecode reasoncode kodeerror kodegalat エラーコード",
        "detail": "reason failurereason failedreason error errormessage errordescription errordetail "
        "detailerror remarks alasan keterangan 理由 失敗理由 エラー エラー内容",
    }.items()
}
FIELDS = tuple(HEADERS)

#: Statuses as `plain` writes them. `invalid contact (failed)` and `coreapp return error` are ADA's own
#: (reference/ada-api.md §11).
STATUSES: dict[str, ReceiptStatus] = {
    word: status
    for status, words in {
        ReceiptStatus.SENT: "sent 送信済 送信済み 送信完了",
        ReceiptStatus.DELIVERED: "delivered tersampaikan 送達 到達 到達済み",
        ReceiptStatus.READ: "read seen dibaca terbaca sudahdibaca 既読 開封済み",
        ReceiptStatus.FAILED: "failed failure undelivered undeliverable notdelivered error invalidcontact "
        "invalidcontactfailed coreappreturnerror gagal gagaldikirim gagalterkirim "
        "失敗 送信失敗 配信失敗 エラー",
    }.items()
    for word in words.split()
}


def plain(text: str) -> str:
    """Reduce a header or a status to its letters and digits: `Mobile No.` -> `mobileno`."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())
