"""Finding a campaign's template, and whether the campaign fills it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.campaign import ButtonUse, HeaderUse, TemplateUse, Variable
from runner.errors import TemplateError
from runner.template import Button, ButtonKind, HeaderKind, Template
from runner.template_check import check_template, find_template

PROMO = Template(
    id="1",
    name="lebaran_promo",
    language="id",
    status="APPROVED",
    category="MARKETING",
    body="Halo {{1}}, poin Anda {{2}}.",
)
NAME, POINTS = Variable(column="first_name"), Variable(column="points")
LINK = Button(kind=ButtonKind.URL, text="Belanja", url="https://shop.example/{{1}}")
STOP = Button(kind=ButtonKind.QUICK_REPLY, text="Stop")
CODE = Variable(column="code")


def use(**fields):
    return TemplateUse(name="lebaran_promo", language="id", **fields)


def problem(template, template_use=None, variables=(NAME, POINTS)):
    with pytest.raises(TemplateError) as caught:
        check_template(template, template_use or use(), variables)
    return caught.value


def test_a_template_is_found_by_name_and_exact_language():
    english = replace(PROMO, language="en")
    american = replace(PROMO, language="en_US")
    assert find_template([PROMO, english, american], "lebaran_promo", "en_US") is american


def test_of_two_with_one_name_the_sendable_one_is_found():
    paused = replace(PROMO, status="PAUSED")
    assert find_template([paused, PROMO], "lebaran_promo", "id") is PROMO
    assert find_template([paused], "lebaran_promo", "id") is paused


def test_an_unknown_name_is_told_with_the_nearest_known_one():
    with pytest.raises(
        TemplateError, match="`lebaran_prono` is not among the provider's 1 templates"
    ) as caught:
        find_template([PROMO], "lebaran_prono", "id")
    assert caught.value.hint == "did you mean `lebaran_promo`?"


def test_an_unknown_name_like_no_other_is_told_with_the_command_that_lists_them():
    with pytest.raises(TemplateError, match="the provider's 0 templates") as caught:
        find_template([], "lebaran_promo", "id")
    assert "runner templates list" in (caught.value.hint or "")


def test_another_language_is_told_with_the_languages_there_are():
    templates = [replace(PROMO, language=language) for language in ("ms", "en")]
    with pytest.raises(TemplateError, match="not there in the language `en_US`") as caught:
        find_template(templates, "lebaran_promo", "en_US")
    assert caught.value.hint == "it is there in `en` and `ms`: each is a template by itself"


def test_a_template_filled_exactly_passes():
    check_template(PROMO, use(), [NAME, POINTS])
    check_template(replace(PROMO, body="Halo", footer="{{1}} is text here"), use(), [])


@pytest.mark.parametrize(
    ("status", "hint"), [("PAUSED", "paused for its quality"), ("REJECTED", "edit it"), ("NEW_WORD", None)]
)
def test_a_template_that_is_not_approved_is_refused_by_its_status(status, hint):
    error = problem(replace(PROMO, status=status))
    assert error.message == f"template `lebaran_promo` (id): its status is {status}, not APPROVED"
    assert (error.hint is None) if hint is None else (hint in (error.hint or ""))


def test_too_few_variables_are_told_with_what_nothing_fills():
    assert "has 2 placeholders and `variables` has 0: too few, nothing fills {{1}} and {{2}}" in (
        problem(PROMO, variables=()).message
    )
    assert "too few, nothing fills {{2}}" in problem(PROMO, variables=[NAME]).message


def test_too_many_variables_are_told_with_how_many():
    error = problem(PROMO, variables=[NAME, POINTS, CODE])
    assert "the body has 2 placeholders and `variables` has 3: 1 too many" in error.message
    assert (
        "has no placeholders and `variables` has 1"
        in problem(replace(PROMO, body="Halo"), variables=[NAME]).message
    )
    assert "has 1 placeholder and" in problem(replace(PROMO, body="Halo {{1}}")).message


@pytest.mark.parametrize("body", ["{{1}} {{3}}", "{{2}} {{3}}", "{{0}} {{1}}"])
def test_placeholders_with_a_gap_are_refused(body):
    assert "not numbered from 1 without a gap" in problem(replace(PROMO, body=body)).message


def test_a_body_too_long_before_it_is_filled_is_refused():
    error = problem(replace(PROMO, body="x" * 1025), variables=())
    assert "the body has 1025 characters before it is filled, more than the 1024 allowed" in error.message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"is_carousel": True}, "it is a carousel"),
        ({"header_kind": HeaderKind.UNKNOWN}, "header is of a kind"),
        ({"body": "Halo {{ first_name }}"}, "{{ first_name }} is a named variable"),
        ({"buttons": (Button(kind=ButtonKind.COPY_CODE, text="Salin"),)}, "button 0 (Salin) copies a code"),
    ],
)
def test_a_template_that_this_version_cannot_send_is_told_so_and_nothing_else(change, found):
    error = problem(replace(PROMO, **change), variables=())
    assert found in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("kind", "header", "given", "found"),
    [
        (HeaderKind.IMAGE, "", None, "its header is of the kind image and needs `header.media`"),
        (HeaderKind.VIDEO, "", HeaderUse(variables=(NAME,)), "its header is of the kind video"),
        (HeaderKind.TEXT, "Halo", HeaderUse(media=CODE), "it has a text header, and the campaign gives"),
        (HeaderKind.NONE, "", HeaderUse(media=CODE), "it has no header, and the campaign gives"),
        (HeaderKind.NONE, "", HeaderUse(variables=(NAME,)), "the header has no placeholders"),
        (HeaderKind.TEXT, "Halo {{1}}", None, "`header.variables` has 0: too few, nothing fills {{1}}"),
        (HeaderKind.TEXT, "Halo", HeaderUse(variables=(NAME,)), "`header.variables` has 1: 1 too many"),
        (HeaderKind.IMAGE, "", HeaderUse(media=CODE, file_name="a.pdf"), "for a document header only"),
    ],
)
def test_a_header_that_is_not_filled_as_it_wants_is_refused(kind, header, given, found):
    error = problem(replace(PROMO, header_kind=kind, header=header), use(header=given))
    assert found in error.message


@pytest.mark.parametrize(
    ("kind", "header", "given"),
    [
        (HeaderKind.IMAGE, "", HeaderUse(media=CODE)),
        (HeaderKind.DOCUMENT, "", HeaderUse(media=CODE, file_name="a.pdf")),
        (HeaderKind.TEXT, "Halo {{1}}", HeaderUse(variables=(NAME,))),
        (HeaderKind.TEXT, "Halo", None),
    ],
)
def test_a_header_filled_as_it_wants_passes(kind, header, given):
    check_template(replace(PROMO, header_kind=kind, header=header), use(header=given), [NAME, POINTS])


@pytest.mark.parametrize(
    ("buttons", "given", "found"),
    [
        ((LINK,), (), "button 0 (Belanja) needs an entry in `buttons`"),
        ((LINK,), (ButtonUse(index=0, payload=CODE),), "only a QUICK_REPLY takes a `payload`"),
        ((LINK,), (ButtonUse(index=0, payload=CODE),), "has a placeholder in its URL and needs a `url`"),
        ((STOP,), (ButtonUse(index=0, url=CODE),), "only a URL button takes a `url`"),
        ((STOP,), (ButtonUse(index=1, payload=CODE),), "fills button 1, and it has 1 button, counted from 0"),
        ((), (ButtonUse(index=0, payload=CODE),), "fills button 0, and it has no buttons"),
        ((STOP,), (ButtonUse(index=0, payload=CODE),) * 2, "fills button 0 2 times"),
        ((replace(LINK, url="https://shop.example/"),), (ButtonUse(index=0, url=CODE),), "has a fixed URL"),
        ((replace(LINK, url="{{1}}/{{2}}"),), (ButtonUse(index=0, url=CODE),), "more in its URL than one"),
        (
            (Button(kind=ButtonKind.FLOW, text="Isi"),),
            (ButtonUse(index=0, payload=CODE),),
            "of the kind FLOW",
        ),
        ((Button(kind=ButtonKind.CATALOG, text="Lihat"),), (ButtonUse(index=0, url=CODE),), "kind CATALOG"),
    ],
)
def test_a_button_that_is_not_filled_as_it_wants_is_refused(buttons, given, found):
    assert found in problem(replace(PROMO, buttons=buttons), use(buttons=given)).message


def test_buttons_filled_as_they_want_pass():
    call = Button(kind=ButtonKind.PHONE_NUMBER, text="Telepon")
    template = replace(PROMO, buttons=(STOP, LINK, call, STOP))
    given = (ButtonUse(index=1, url=CODE), ButtonUse(index=3, payload=Variable(text="STOP")))
    check_template(template, use(buttons=given), [NAME, POINTS])


def test_everything_wrong_is_told_at_once_one_line_each():
    template = replace(PROMO, status="PAUSED", header_kind=HeaderKind.IMAGE, buttons=(LINK,))
    lines = problem(template, variables=[NAME]).message.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("template `lebaran_promo` (id): ") for line in lines)
