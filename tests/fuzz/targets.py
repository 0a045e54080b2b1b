"""What is fuzzed: each reader of the product that takes bytes from outside, and how its inputs begin.

A new reader is one function `(data, folder) -> None` and one line in TARGETS.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from runner import plan as plans
from runner import quick_json
from runner.campaign_file import load_campaign
from runner.encrypted_file import FileKey
from runner.plan_file import RECIPIENTS, REJECTIONS, read_plan, sha256_of_file, write_plan
from runner.project import Project, ProviderSettings, Rate
from runner.receipts.csv_file import find_layout, read_records
from runner.receipts.importing import open_import
from runner.receipts.mapping import ColumnMapping, choose_columns, supplied
from runner.receipts.text_file import open_text
from runner.receipts.webhook import read_webhook
from runner.strict_yaml import parse_yaml
from tests.conftest import CAMPAIGN
from tests.fuzz.inputs import changed, changed_json
from tests.fuzz.judging import Reader
from tests.receipts.conftest import JAKARTA, SENT_AT, MemoryLedger, delivery, phone
from tests.test_plan import PLAN

ROOT = Path(__file__).parent.parent.parent
KEY = FileKey(secret=bytes(range(32)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader of bytes, and inputs for it: sound ones (`seeds`), and words to change them by.

    `thinking` is hypothesis's strategy where edits of bytes make no sense; then there are no words. `share`
    is the target's of every 1,000 inputs.
    """

    reader: Reader
    seeds: Callable[[], tuple[bytes, ...]]
    share: int
    words: tuple[bytes, ...] = ()
    thinking: Callable[[], st.SearchStrategy[bytes]] | None = None

    def inputs(self) -> st.SearchStrategy[bytes]:
        """Return hypothesis's strategy of inputs."""
        return self.thinking() if self.thinking else changed(self.seeds(), self.words)


def read_yaml(data: bytes, _folder: Path) -> None:
    parse_yaml(data, "x.yml")


def read_campaign(data: bytes, folder: Path) -> None:
    path = folder / "x.yml"
    path.write_bytes(data)
    load_campaign(path, _project(folder))


def read_webhook_body(data: bytes, _folder: Path) -> None:
    """Read what the listener was sent; what is no webhook it answers with 400."""
    with suppress(ValueError, RecursionError):
        read_webhook(quick_json.decode(data))


def read_plan_file(data: bytes, folder: Path) -> None:
    path = folder / "x.plan"
    path.write_bytes(data)
    _show(read_plan(path, KEY))


def read_plan_document(data: bytes, folder: Path) -> None:
    """Read a plan.json that was sealed anew after it was changed: whoever can write a file can do that."""
    try:
        document = dict(json.loads(data))
    except (ValueError, TypeError):  # no JSON object: nothing to be sealed
        return
    decisive = {key: value for key, value in document.items() if key not in {*plans._CIRCUMSTANCES, "format"}}
    document["digest"] = plans.digest_of({"format": plans.PLAN_FORMAT, **decisive})
    document["seal"] = plans.digest_of({key: value for key, value in document.items() if key != "seal"})
    path = folder / "x.plan"
    path.write_bytes(_zipped(json.dumps(document).encode()))
    _show(read_plan(path))


def read_report_text(data: bytes, folder: Path) -> None:
    path = folder / "report.csv"
    path.write_bytes(data)
    file = open_text(path)
    mapping = ColumnMapping(timezone=JAKARTA)
    layout = find_layout(file, lambda header: supplied(header, mapping), None)
    choose_columns(layout.header, mapping, file.name)
    for _ in read_records(file, layout):
        pass


def import_report(data: bytes, folder: Path) -> None:
    path = folder / "report.csv"
    path.write_bytes(data)
    with open_import(
        path,
        mapping=ColumnMapping(timezone=JAKARTA),
        ledger=MemoryLedger(delivery(1), delivery(2)),
        workspace=folder / "work",
        now=SENT_AT + 86_400,
    ) as prepared:
        prepared.write_unplaced(folder / "unplaced.csv")
        prepared.unplaced(100)
        for _ in prepared.receipts():
            pass


def _project(root: Path) -> Project:
    ada = ProviderSettings(name="ada", url=None, sender="60110000001", rate=Rate(per_second=5.0))
    return Project(
        root=root, data=root / "data", state=root / ".runner", ledger="sqlite:///x.db", providers={"ada": ada}
    )


def _show(plan: plans.Plan) -> None:
    from rich.console import Console

    from runner.reports.markdown import plan_markdown
    from runner.reports.summary import plan_summary
    from runner.reports.terminal import plan_report

    Console(file=io.StringIO(), width=100).print(plan_report(plan))
    plan_markdown(plan)
    json.dumps(plan_summary(plan, "x.plan"))


@cache
def _plan_files() -> tuple[bytes, ...]:
    """Return a plan file, and the same encrypted."""
    import tempfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table in (RECIPIENTS, REJECTIONS):
            pq.write_table(pa.table({"phone": ["6281234567890"]}), folder / table)
        files = {table: sha256_of_file(folder / table) for table in (RECIPIENTS, REJECTIONS)}
        plan = plans.sealed(replace(PLAN, files=files))
        write_plan(plan, folder, folder / "plain")
        write_plan(plan, folder, folder / "encrypted", KEY)
        return (folder / "plain").read_bytes(), (folder / "encrypted").read_bytes()


@cache
def _members() -> dict[str, bytes]:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(_plan_files()[0])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(document: bytes) -> bytes:
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in {**_members(), "plan.json": document}.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _document() -> Any:
    return json.loads(_members()["plan.json"])


def _campaigns() -> tuple[bytes, ...]:
    return (CAMPAIGN.encode(), *(path.read_bytes() for path in sorted((ROOT / "campaigns").glob("*.yml"))))


def _reports() -> tuple[bytes, ...]:
    text = (
        "Message log of March\n\nPhone,Status,Time,Message Id,Error Code,Reason\n"
        f"{phone(1)},delivered,2026-03-20 10:03,id1,,\n"
        f'+{phone(2)},FAILED,20/03/2026 10:04:05 AM,id2,131026,"not on, ""WhatsApp"""\n'
        f"{phone(3)},既読,2026-03-20T03:05:00Z,,,=1+1\n"
    )
    return (text.encode(), text.replace(",", ";").encode("utf-16"), text.encode("cp932"))


_YAML = (
    *b": |- |&a |*a|!!int |!|? |[|]|{|}|,|\n|\n  |\t|#|'|\"|\\x1b|<<: *a|---\n|...\n".split(b"|"),
    *b"%YAML 1.1\n,>-\n,|\n,~".split(b","),
    *b"0x1F|.inf|1e9|NO|\xff|\xc2\x85|\xe2\x80\xae|\xef\xbb\xbf|campaign: |segment: |query: ".split(b"|"),
    *b"columns|cron: |'0 0 31 2 *'|at: |99:99|guards: |101%|timezone: |window: |format: ".split(b"|"),
)
_ZIP = (
    *(b"PK\x01\x02", b"PK\x05\x06", b"PK\x03\x04", b"\xff" * 4, b"\0" * 4),
    *(b"RPLANENC\x01", b"RPLANEND", b'"to_send"'),
)
_CSV = (
    *b',|;|\t|\'|"|""|\r\n|\n|\r|\0|=|@|Phone|Status|Time|delivered|2026-03-20|25:61|+62'.split(b"|"),
    *b"\xff\xfe|\xef\xbb\xbf|\x81|99999999999999999999".split(b"|"),
)

_JSON = (
    b"null",
    b"[]",
    b"{}",
    b"1e999",
    b"-0",
    b'"\\ud800"',
    b'"STOP"',
    b'"failed"',
    b'"tag1"',
    b"[[[[",
    b"\0",
)


def _webhooks() -> tuple[bytes, ...]:
    """Return both dialects of a receipt, and a person's message in both shapes."""
    status = {"id": "m1", "custNo": phone(1), "timestamp": "2026-11-25 10:00:00", "status": "delivered"}
    failed = {**status, "status": "coreapp return error", "detailError": "131050"}
    said = {
        "id": "m2",
        "custNo": phone(1),
        "type": "text",
        "text": "STOP",
        "timestamp": "2026-11-25 10:00:00",
    }
    envelope = {"platform": "WA", "accountNo": "60110000001", "accountName": "Shop"}
    bodies: list[dict[str, Any]] = [
        {**envelope, "eventType": "MessageStatus", "data": status},
        {**envelope, "eventType": "messagestatus", "data": failed},
        {**envelope, "eventType": "Message", "data": said},
        {**envelope, "eventType": "Message", "data": {}, "fromNo": phone(1), "type": "text", "text": "stop"},
    ]
    return tuple(json.dumps(body).encode() for body in bodies)


TARGETS = {
    "yaml": Target(reader=read_yaml, seeds=_campaigns, words=_YAML, share=320),
    "campaign": Target(reader=read_campaign, seeds=_campaigns, words=_YAML, share=200),
    "plan": Target(reader=read_plan_file, seeds=_plan_files, words=_ZIP, share=200),
    "plan-document": Target(
        reader=read_plan_document,
        seeds=lambda: (_members()["plan.json"],),
        thinking=lambda: changed_json(_document),
        share=20,
    ),
    "report": Target(reader=read_report_text, seeds=_reports, words=_CSV, share=150),
    "import": Target(reader=import_report, seeds=_reports, words=_CSV, share=10),
    "webhook": Target(reader=read_webhook_body, seeds=_webhooks, words=_JSON, share=100),
}
