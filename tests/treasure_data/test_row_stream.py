"""runner.treasure_data.row_stream: rows come whole into the file, or an error says what is wrong."""

from contextlib import contextmanager
from types import SimpleNamespace

import msgpack
import pyarrow.parquet as pq
import pytest
from tdclient.errors import APIError

from runner.errors import SegmentError, TreasureDataError
from runner.treasure_data import row_stream
from runner.treasure_data.account import find_account
from runner.treasure_data.jobs import FinishedJob
from runner.treasure_data.row_stream import Column, write_rows
from tests.sandbox.td import KEY

ROWS = [(f"c{number}", number) for number in range(1000)]
COLUMNS = (("id", "varchar"), ("points", "bigint"))


def bytes_of(rows):
    return b"".join(msgpack.packb(row) for row in rows)


class Service:
    """Answers each download with the next of some bodies, in chunks; the last one again and again."""

    def __init__(self, *bodies, status=200, chunk=1000):
        self._bodies = list(bodies)
        self._status = status
        self._chunk = chunk
        self.downloads = 0
        self.client = SimpleNamespace(api=SimpleNamespace(get=self.get, raise_error=self.raise_error))
        self.refused_with = status if status >= 400 else None
        self.may_pass = status == 200
        self.pauses = []

    @contextmanager
    def get(self, path):
        assert path == "/v3/job/result/1000?format=msgpack&header=False"
        self.downloads += 1
        body = self._bodies.pop(0) if len(self._bodies) > 1 else self._bodies[0]
        chunks = (body[at : at + self._chunk] for at in range(0, len(body), self._chunk))
        yield SimpleNamespace(status=self._status, stream=lambda size: chunks, read=lambda: body)

    def pause(self, doing, attempt):
        self.pauses.append(attempt)

    def raise_error(self, message, answer, body):
        raise APIError(f"{answer.status}: {message}: {body.decode()}")


@pytest.fixture
def keep(tmp_path):
    """Return a function that writes the rows which a service gives, and counts them."""
    account = find_account({"TD_API_KEY": KEY}, home=tmp_path)

    def keep(service, *, rows=None, columns=COLUMNS, wanted=None):
        job = FinishedJob(id="1000", url="", columns=columns, rows=rows, calls=service)
        kept = wanted or [
            Column(name=name, place=place, kind=kind) for place, (name, kind) in enumerate(columns)
        ]
        keep.path = tmp_path / "rows.parquet"
        return write_rows(account, job, kept, keep.path)

    return keep


@pytest.mark.parametrize("bound", ["_GROUP_ROWS", "_GROUP_BYTES"])
@pytest.mark.parametrize("chunk", [1, 7, 1_000_000])
def test_rows_of_many_groups_are_one_file_in_their_order(keep, monkeypatch, bound, chunk):
    monkeypatch.setattr(row_stream, bound, 100)
    monkeypatch.setattr(row_stream, "_ROWS", 30)
    assert keep(Service(bytes_of(ROWS), chunk=chunk), rows=1000) == 1000
    table = pq.read_table(keep.path)
    assert list(zip(*table.to_pydict().values(), strict=True)) == ROWS
    assert pq.ParquetFile(keep.path).num_row_groups > 1


def test_fewer_rows_than_the_job_has_are_downloaded_again(keep):
    service = Service(bytes_of(ROWS[:400]), bytes_of(ROWS))
    assert keep(service, rows=1000) == 1000
    assert service.downloads == 2
    assert pq.read_table(keep.path).num_rows == 1000


@pytest.mark.parametrize("count", [400, 1200])
def test_another_number_of_rows_than_the_job_has_is_an_error_in_the_end(keep, count):
    service = Service(bytes_of((ROWS * 2)[:count]))
    with pytest.raises(TreasureDataError) as caught:
        keep(service, rows=1000)
    assert caught.value.message == f"the rows of job 1000 do not arrive whole: {count:,} of 1,000"
    assert caught.value.hint == "plan again: the job is done, and its rows are kept"
    assert service.downloads == 5


def test_where_the_job_does_not_say_how_many_rows_it_has_those_that_come_are_all(keep):
    service = Service(bytes_of(ROWS[:400]))
    assert keep(service, rows=None) == 400
    assert service.downloads == 1


def test_rows_that_break_off_within_one_are_downloaded_again(keep):
    service = Service(bytes_of(ROWS)[:-1], bytes_of(ROWS))
    assert keep(service) == 1000


def test_rows_that_always_break_off_within_one_are_an_error_even_where_their_number_is_not_known(keep):
    service = Service(bytes_of(ROWS)[:-1])
    with pytest.raises(TreasureDataError, match="the rows of job 1000 break off in the middle of one"):
        keep(service)
    assert service.downloads == 5


@pytest.mark.parametrize(
    "rows",
    [[("c1",)], [("c1", 1, 2)], [("c1", 1), ("c2",)], [1, 2], [None]],
    ids=["too few", "too many", "uneven", "no lists", "nothing"],
)
def test_rows_that_do_not_have_the_jobs_columns_are_an_error(keep, rows):
    with pytest.raises(TreasureDataError) as caught:
        keep(Service(bytes_of(rows)))
    assert caught.value.message == "the rows of job 1000 do not have its 2 columns"
    assert caught.value.hint == "look at the job's result in Treasure Data"


def test_bytes_that_are_no_rows_are_an_error_of_one_line(keep):
    with pytest.raises(TreasureDataError) as caught:
        keep(Service(b"\xc1 is no msgpack"))
    assert caught.value.message.startswith("downloading the rows of job 1000: ")
    assert "\n" not in caught.value.message


def test_a_row_larger_than_any_is_an_error_and_is_not_kept_in_memory(keep, monkeypatch):
    monkeypatch.setattr(row_stream, "_LARGEST_ROW", 2 * 1024**2)
    service = Service(bytes_of([("x" * 3 * 1024**2, 1)]), chunk=1024**2)
    with pytest.raises(SegmentError) as caught:
        keep(service)
    assert caught.value.message == "segment query: a row of job 1000 is larger than 2 MiB"
    assert caught.value.hint == "select only the columns that the campaign needs"
    assert service.downloads == 1


def test_an_answer_that_is_no_result_is_said_with_its_status(keep):
    with pytest.raises(TreasureDataError, match=r"downloading the rows of job 1000: .*400: job result: no"):
        keep(Service(b"no", status=400))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bigint", "a text"),
        ("bigint", 2**63),
        ("double", b"x"),
        ("boolean", 2),
        ("date", "2026-02-30"),
        ("timestamp", "soon"),
        ("decimal(4,2)", "12345.67"),
    ],
)
def test_values_that_are_not_of_their_columns_type_are_refused_with_the_cast(keep, kind, value):
    with pytest.raises(SegmentError) as caught:
        keep(Service(bytes_of([("c1", value)])), columns=(("id", "varchar"), ("points", kind)))
    assert caught.value.message == f"segment query: the column `points` is {kind}, but holds other values"
    assert caught.value.hint == "write CAST(points AS varchar) in the query"


def test_a_text_of_damaged_bytes_is_kept_with_marks_and_spoils_no_other(keep):
    rows = [(b"\xff\xfe", 1), (None, 2), ("é", 3)]
    assert keep(Service(bytes_of(rows))) == 3
    assert pq.read_table(keep.path).column("id").to_pylist() == ["��", None, "é"]


def test_what_has_no_type_of_its_own_is_kept_as_json(keep):
    rows = [({"a": [1, None, b"x"]}, 1), ([True, 1.5], 2), (7, 3)]
    keep(Service(bytes_of(rows)))
    assert pq.read_table(keep.path).column("id").to_pylist() == ['{"a": [1, null, "x"]}', "[true, 1.5]", "7"]
