"""The run log: one JSON line per event, for its owner only."""

import json

from runner.logs.run_log import open_run_log, redact_run_log


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_event_is_one_line_with_its_moment_and_keys(tmp_path):
    path = tmp_path / "runs/promo.1.jsonl"
    with open_run_log(path) as log:
        log.write(1_800_000_000.1234, "run_began", run=1, note="a\nb 🌙")
        log.write(1_800_000_001.0, "run_ended", stop=None)
    assert lines_of(path) == [
        {"at": "2027-01-15T08:00:00.123+00:00", "action": "run_began", "run": 1, "note": "a\nb 🌙"},
        {"at": "2027-01-15T08:00:01.000+00:00", "action": "run_ended", "stop": None},
    ]


def test_it_is_for_its_owner_only(tmp_path):
    path = tmp_path / "runs/x.jsonl"
    with open_run_log(path) as log:
        log.write(0.0, "x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_log_that_is_there_is_added_to(tmp_path):
    for action in ("first", "second"):
        with open_run_log(tmp_path / "x.jsonl") as log:
            log.write(0.0, action)
    assert [line["action"] for line in lines_of(tmp_path / "x.jsonl")] == ["first", "second"]


def test_events_are_on_their_way_to_the_file_while_the_run_goes_on(tmp_path):
    path = tmp_path / "x.jsonl"
    with open_run_log(path) as log:
        log.write(1000.0, "first")
        assert len(lines_of(path)) == 1
        log.write(1000.1, "second")
        log.write(1000.3, "third")
        assert len(lines_of(path)) == 3
        log.write(10.0, "the clock was set back")
        assert len(lines_of(path)) == 4


def settled(log, phone, message_id, outcome="accepted", detail=None):
    log.write(1e9, "message_settled", phone=phone, outcome=outcome, message_id=message_id, detail=detail)


def test_a_person_is_taken_out_of_the_lines_about_them_and_the_others_stay(tmp_path):
    path = tmp_path / "x.jsonl"
    with open_run_log(path) as log:
        log.write(0.0, "run_began", run=1)
        settled(log, "6281****0001", "wamid.mine")
        settled(log, "6281****0001", "wamid.of-another-with-this-mask")
        settled(log, "6281****0002", "wamid.other")
        settled(log, "6281****0001", None, "refused", "the number has no WhatsApp")
    before = path.read_bytes()

    assert redact_run_log(path, "6281****0001", {"wamid.mine"}) == 2

    after = path.read_bytes()
    assert len(after) == len(before)
    assert b"wamid.mine" not in after
    assert b"no WhatsApp" not in after
    lines = lines_of(path)
    assert [line.get("phone") for line in lines] == [None, None, "6281****0001", "6281****0002", None]
    assert [line.get("outcome") for line in lines][1:] == ["accepted", "accepted", "accepted", "refused"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert redact_run_log(path, "6281****0001", {"wamid.mine"}) == 0


def test_an_apply_that_goes_on_adds_to_the_same_file(tmp_path):
    path = tmp_path / "x.jsonl"
    with open_run_log(path) as log:
        settled(log, "6281****0001", None)
        assert redact_run_log(path, "6281****0001", set()) == 1
        settled(log, "6281****0002", None)
    assert [line["phone"] for line in lines_of(path)] == [None, "6281****0002"]


def test_a_line_cut_short_by_a_kill_that_may_be_about_them_is_blanked(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"phone": "6281****0002"}\n{"phone": "6281****0001", "message_id": "wam')
    assert redact_run_log(path, "6281****0001", set()) == 1
    first, second = path.read_bytes().splitlines()
    assert first == b'{"phone": "6281****0002"}'
    assert second.strip() == b""
