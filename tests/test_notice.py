"""A notice: one state of one topic, and a text without any phone."""

from runner.notice import Notice, NoticeEvent, Tone, without_numbers


def notice(event=NoticeEvent.STOPPED, **changes):
    values = {"campaign": "promo", "occurrence": "2026-11-23T02:00Z", "event": event, **changes}
    return Notice(**values)


def test_the_text_is_headline_balance_detail_and_command():
    made = notice(balance=("5 to send",), detail="a guard stopped it", command="runner apply")
    assert made.title == "promo 2026-11-23T02:00Z: stopped"
    assert made.body == "5 to send\na guard stopped it\nnext: runner apply"
    assert notice(NoticeEvent.WAITING).title.endswith(": waiting for approval")


def test_no_phone_is_in_it_masked_or_not_and_nothing_drives_a_terminal():
    made = notice(detail="ADA refused +62 812-3000-0000 and 6281****0000 at 2026-11-23T02:00Z \x1b[2J")
    assert made.body == "ADA refused **** and **** at 2026-11-23T02:00Z \\x1b[2J"


def test_what_follows_a_run_is_one_topic_and_its_log_another():
    runs = [NoticeEvent.STARTED, NoticeEvent.STOPPED, NoticeEvent.FAILED, NoticeEvent.FINISHED]
    assert {notice(event).topic for event in runs} == {"run"}
    assert notice(NoticeEvent.LOG_FAILED).topic == "log"
    assert notice(NoticeEvent.MISSED).topic == "missed"


def test_numbers_do_not_tell_one_cause_from_another():
    assert without_numbers("5 of 100 failed") == without_numbers("17 of 230 failed")


def test_bad_news_has_a_colour_of_its_own():
    assert notice(NoticeEvent.FAILED).tone is Tone.FAILURE
    assert notice(NoticeEvent.PLANNED).tone is Tone.INFO
