"""Imports: what a report says, its account that always balances, and what nobody should see or run."""

import csv
import stat
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.delivery import ReceiptStatus, State
from runner.errors import RunnerError, UsageError
from runner.receipts import importing as importing_module
from runner.receipts import reading
from runner.receipts.importing import open_import, record
from runner.receipts.mapping import ColumnMapping, DateOrder
from runner.receipts.text_file import ReceiptsFileError
from tests.receipts.conftest import JAKARTA, SENT_AT, MemoryLedger, balance, delivery, phone

HEADER = "Phone,Status,Time,Error Code,Reason"
SOON = "2026-03-20 10:03"


@contextmanager
def one_line_at_most():
    """Let an expected failure pass: one line, and what to do."""
    failure = None
    try:
        yield
    except RunnerError as error:
        failure = error
    assert failure is None or (failure.hint and "\n" not in failure.message)


def row(number, status="delivered", at=SOON, code="", reason=""):
    return f"{phone(number)},{status},{at},{code},{reason}"


def test_everything_a_report_says_becomes_a_receipt(verdicts):
    reason = '"not on WhatsApp:\n6281230000001\x07"'
    _, receipts, _ = verdicts(HEADER, [row(1, "FAILED", code="131026", reason=reason)], delivery(1))
    (one,) = receipts
    assert (one.delivery, one.status, one.source) == (1, ReceiptStatus.FAILED, "import")
    assert (one.at, one.message_id, one.code) == (SENT_AT + 180, None, "131026")
    assert one.detail == "not on WhatsApp: ******* "


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Delivered", "delivered"),
        (" READ ", "read"),
        ("既読", "read"),
        ("送信済み", "sent"),
        ("Dibaca", "read"),
        ("gagal", "failed"),
        ("Invalid contact (failed)", "failed"),
        ("coreapp return error", "failed"),
    ],
)
def test_statuses_of_three_languages_are_known(verdicts, word, status):
    accounts, _, _ = verdicts(HEADER, [row(1, word)], delivery(1))
    assert accounts.by_status == {status: 1}


def test_statuses_not_known_are_counted_and_left_alone(verdicts):
    rows = [row(1, "queued"), row(2, "queued"), row(3, "call 6281230000001"), row(1, "")]
    accounts, receipts, unplaced = verdicts(HEADER, rows, delivery(1), delivery(2))
    assert accounts.unknown_words == {"queued": 2, "call 6281****0001": 1}
    assert (accounts.unreadable, receipts) == (4, [])
    assert unplaced == {2: "unknown_status", 3: "unknown_status", 4: "unknown_status", 5: "missing_status"}


def test_a_word_of_the_mapping_has_its_meaning(verdicts):
    accounts, _, _ = verdicts(
        HEADER, [row(1, "TERKIRIM")], delivery(1), statuses={"terkirim": ReceiptStatus.DELIVERED}
    )
    assert accounts.by_status == {"delivered": 1}


def test_a_column_that_holds_no_statuses_is_said_and_none_of_it_shown(importing):
    rows = "\n".join(row(n, f"Ayu {n}") for n in range(300))
    with (
        pytest.raises(UsageError, match="more than 200 different texts") as caught,
        importing(f"{HEADER}\n{rows}\n"),
    ):
        pass
    assert "Ayu" not in f"{caught.value} {caught.value.hint}"


def test_ragged_lines_are_read_where_nothing_is_lost(verdicts):
    rows = [
        f"{phone(1)},read,{SOON}",
        f"{phone(2)},read,{SOON},,,,",
        f"{phone(3)},read,{SOON},,a,b",
        f"{phone(4)},read",
        "Total: 4",
    ]
    accounts, _, unplaced = verdicts(HEADER, rows, *map(delivery, range(1, 5)))
    assert accounts.matched == 2
    assert unplaced == {4: "too_many_cells", 5: "unreadable_time", 6: "missing_status"}


def test_what_a_spreadsheet_writes_around_a_number_is_no_part_of_it(verdicts):
    rows = [f'"=""{phone(1)}""",read,{SOON},,', f"'{phone(2)},read,{SOON},,"]
    accounts, _, _ = verdicts(HEADER, rows, delivery(1), delivery(2))
    assert accounts.matched == 2


def test_a_date_and_a_time_in_two_columns_are_one_time(verdicts):
    columns = {"at": ("Date", "Time")}
    rows = [f"{phone(1)},read,2026-03-20,10:03", f"{phone(2)},read,,"]
    _, receipts, unplaced = verdicts("Phone,Status,Date,Time", rows, delivery(1), columns=columns)
    assert (receipts[0].at, unplaced) == (SENT_AT + 180, {3: "unreadable_time"})


def test_times_to_come_and_ids_of_another_kind_are_pointed_out(importing):
    text = f"Phone,Status,Time,Message ID\n{phone(1)},read,{SOON},wamid.1\n"
    with importing(text, delivery(1), now=SENT_AT) as prepared:
        assert (prepared.accounts.ahead, prepared.accounts.foreign_ids) == (1, True)


def test_only_deliveries_that_rows_can_be_about_are_asked_for(report, tmp_path):
    ledger = MemoryLedger()
    for header, days in ((HEADER, 3), (f"{HEADER},Message ID", 40)):
        path = report(f"{header}\n{row(1)},x\n")
        options = {"mapping": ColumnMapping(timezone=JAKARTA), "ledger": ledger, "workspace": tmp_path}
        with open_import(path, now=SENT_AT, **options) as prepared:
            assert balance(prepared.accounts) == 1
        if "Message" in header:
            assert ledger.asked[-1][0] == SENT_AT + 180 - days * 86_400
    with open_import(report(f"{HEADER}\n"), now=SENT_AT, **options) as prepared:
        assert prepared.accounts.lines == 0
    assert len(ledger.asked) == 1


def test_recording_hands_over_what_is_new_in_batches(importing, monkeypatch):
    monkeypatch.setattr(importing_module, "_AT_ONCE", 2)
    ledger = MemoryLedger()
    text = "\n".join([HEADER, *(row(n) for n in range(1, 6))])
    with importing(text, *map(delivery, range(1, 6))) as prepared:
        assert record(prepared, ledger, SENT_AT, by="ada") == 5
        assert prepared.occurrences() == [("promo", "once")]
    assert [one.delivery for one in ledger.recorded] == [1, 2, 3, 4, 5]


def test_what_is_learnt_of_a_report_reads_the_next_one(importing):
    text = f"Phone,Status,Time\n{phone(1)},read,20/03/2026 10:03\n"
    with importing(text, delivery(1), columns={"sender": ()}) as prepared:
        learnt = prepared.mapping
    assert learnt.columns == {"phone": ("Phone",), "status": ("Status",), "at": ("Time",), "sender": ()}
    assert (learnt.timezone, learnt.date_order) == (JAKARTA, DateOrder.DMY)


def test_lines_without_a_delivery_are_written_whole_private_and_harmless(importing, tmp_path):
    path = tmp_path / "unmatched.csv"
    path.write_text("old")
    path.chmod(0o644)
    text = f'{HEADER}\n{phone(9)},read,{SOON},=1+1,"@x"\n+62 812,"-cmd|x",{SOON},,\n{row(1)}\n'
    with importing(text, delivery(1)) as prepared:
        prepared.write_unplaced(path)
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0][:5] == ["line", "reason", "phone", "status", "at"]
    assert rows[1] == ["2", "no_delivery", phone(9), "read", SOON, "", "", "", "'=1+1", "'@x"]
    assert rows[2][:4] == ["3", "unknown_status", "+62 812", "'-cmd|x"]
    assert len(rows) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_left_in_the_workspace(importing, tmp_path):
    with importing(f"{HEADER}\n{row(1)}\n", delivery(1)):
        (folder,) = (tmp_path / "work").iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(UsageError), importing(f"{HEADER}\n{row(1, at='1/2/2026 10:00')}\n"):
        pass
    assert list((tmp_path / "work").iterdir()) == []


def test_a_database_that_gives_up_is_one_line(importing, monkeypatch):
    def give_up(*_, **__):
        raise duckdb.OutOfMemoryException("6281230000001")

    monkeypatch.setattr(reading, "check_times", give_up)
    with (
        pytest.raises(ReceiptsFileError, match="cannot be taken in: OutOfMemory") as caught,
        importing(f"{HEADER}\n{row(1)}\n"),
    ):
        pass
    assert "628" not in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 5000,
        b"PK\x03\x04" + b"x" * 100,
        bytes(range(256)) * 50,
        b"Phone,Status,Time\n" + b'"' * 999,
        b"Phone,Phone,Status,Time\n1,2,3,4\n",
        b"a;b\n1;2\n",
        b'"',
        b"\n\n\n",
        b"Phone,Status,Time\n" + b'"x\n' * 500,
    ],
)
def test_a_hostile_file_is_one_line_or_an_account(report, tmp_path, data):
    options = {"ledger": MemoryLedger(), "workspace": tmp_path / "work", "now": SENT_AT}
    with (
        one_line_at_most(),
        open_import(report(data), mapping=ColumnMapping(timezone=JAKARTA), **options) as prepared,
    ):
        assert prepared.accounts.lines == balance(prepared.accounts)


def test_a_header_alone_is_an_account_of_nothing(verdicts):
    accounts, receipts, unplaced = verdicts(HEADER, [])
    assert (accounts.lines, receipts, unplaced) == (0, [], {})


CELLS = st.one_of(
    st.sampled_from(
        [
            phone(1),
            phone(2),
            f"+{phone(3)}",
            "sent",
            "read",
            "gone",
            SOON,
            "20/03/2026 10:05",
            "id1",
            "id2",
            "",
        ]
    ),
    st.text(max_size=8),
    st.text('",;\n\r\0=\t|' + "a", max_size=6),
)
LINES = st.lists(st.lists(CELLS, max_size=7), max_size=12)
PLAIN = st.lists(
    st.tuples(
        st.sampled_from([phone(1), phone(2), phone(3), phone(4), "x"]),
        st.sampled_from(["sent", "delivered", "read", "failed", "gone"]),
        st.sampled_from([SOON, "2026-03-20 09:00", "2026-03-25 10:00", "?"]),
        st.sampled_from(["", "id1", "id2", "other", "another"]),
    ),
    max_size=20,
)
STATES = st.sampled_from([(State.ACCEPTED, "id"), (State.UNKNOWN, None), (State.REFUSED, None)])


def deliveries_of(states):
    return [
        delivery(number, phone=phone(1 + number % 3), state=state, message_id=known and f"id{number}")
        for number, (state, known) in enumerate(states)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, states=st.lists(STATES, max_size=5), encoding=st.sampled_from(["utf-8", "utf-16"]))
def test_the_account_of_any_file_balances(tmp_path, lines, states, encoding):
    path = tmp_path / "report.csv"
    text = "\n".join(["Phone,Status,Time,Message ID", *(",".join(cells) for cells in lines)])
    path.write_bytes(text.encode(encoding, errors="replace"))
    mapping = ColumnMapping(timezone=JAKARTA, date_order=DateOrder.DMY)
    ledger = MemoryLedger(*deliveries_of(states))
    options = {"mapping": mapping, "ledger": ledger, "workspace": tmp_path, "now": SENT_AT}
    with one_line_at_most(), open_import(path, **options) as prepared:
        check(prepared)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=PLAIN, states=st.lists(STATES, max_size=6))
def test_the_account_of_plain_rows_balances_and_counts_each_of_them(tmp_path, rows, states):
    path = Path(tmp_path / "report.csv")
    text = "\n".join(["Phone,Status,Time,Message ID", *(",".join(cells) for cells in rows)])
    path.write_text(text, encoding="utf-8")
    ledger = MemoryLedger(*deliveries_of(states))
    mapping = ColumnMapping(timezone=JAKARTA)
    with open_import(path, mapping=mapping, ledger=ledger, workspace=tmp_path, now=SENT_AT) as prepared:
        assert prepared.accounts.lines == len(rows)
        check(prepared)


def check(prepared):
    accounts = prepared.accounts
    unplaced = accounts.unmatched + accounts.ambiguous + accounts.unreadable
    assert accounts.lines == balance(accounts)
    assert len(prepared.unplaced(10_000)) == unplaced == sum(accounts.by_reason.values())
    receipts = [one for batch in prepared.receipts() for one in batch]
    assert len(receipts) == accounts.matched == sum(accounts.by_status.values())
    assert len({one.delivery for one in receipts}) == accounts.moves >= accounts.settles
    assert sum(accounts.matched_by.values()) == accounts.matched + accounts.unchanged


def test_a_recorded_file_is_noted_once_with_its_digest_and_accounts(importing, monkeypatch):
    monkeypatch.setattr(importing_module, "_AT_ONCE", 2)
    ledger = MemoryLedger()
    text = "\n".join([HEADER, *(row(n) for n in range(1, 6))])
    with importing(text, *map(delivery, range(1, 5))) as prepared:
        record(prepared, ledger, SENT_AT, by="ada")
        digest = sha256(prepared.file.path.read_bytes()).hexdigest()
    (noted,) = ledger.imported
    assert (noted.by, noted.digest) == ("ada", digest)
    assert (noted.counts["lines"], noted.counts["matched"], noted.counts["unmatched"]) == (5, 4, 1)
