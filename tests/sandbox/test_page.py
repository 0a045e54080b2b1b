import pytest

from runner.sandbox.ada_templates import Catalog
from runner.sandbox.faults import parse_fault
from runner.sandbox.page import Preview, preview, render_page
from runner.sandbox.receiving import Sandbox
from runner.sandbox.settings import SandboxSettings

CATALOG = Catalog(senders=["60110000001"])


def template(name, language="en", **fields):
    return {"type": "template", "templateName": name, "templateLang": language, **fields}


def test_the_page_shows_the_filled_message_and_masks_the_phone(start):
    client = start()
    client.send(to="60123456789")
    answer = client.get("/sandbox")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Hi Aina, your order A-1001 is on its way." in answer.text
    assert "6012****789" in answer.text
    assert "60123456789" not in answer.text
    assert "60123456789" in client.get("/sandbox?phones=shown").text


def test_whatever_arrives_is_escaped(start):
    evil = "<script>alert('x')</script>\"&"
    client = start(faults=(parse_fault("503:@60129999999"),))
    client.send(templateData=[evil, evil])
    client.send(templateName=evil, templateLang=evil, templateData=[evil])
    client.send(type="text", text=evil)
    client.send(type="button", text="a", buttons=[evil], footer=evil, header=evil)
    client.send(to=evil)
    client.send(templateName="promo_image", templateButton=[[evil]], header=evil, fileName=evil)
    page = client.get("/sandbox?phones=shown").text
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)") >= 9
    assert page.count("<script") == 1


def test_the_page_loads_nothing_from_elsewhere_and_runs_only_its_own_script(start):
    client = start()
    answer, again = client.get("/sandbox"), client.get("/sandbox")
    policy = answer.headers["Content-Security-Policy"]
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.text.count(f'nonce="{nonce}"') == 2
    assert nonce not in again.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "src=" not in answer.text
    assert "style=" not in answer.text


def test_the_page_of_an_empty_sandbox_says_so(start):
    page = start(limit=5.0).get("/sandbox").text
    assert "Nothing has arrived yet." in page
    assert "limit 5/s" in page
    assert "$" not in page.split("<script")[0]


def test_the_page_shows_limit_faults_answers_and_refusals(start):
    client = start(limit=1.0, faults=(parse_fault("503:#1"),))
    client.send()
    client.send()
    page = client.get("/sandbox").text
    assert "503:#1" in page
    assert "fault 503" in page
    assert "429 over the limit" in page
    assert 'class="tile bad"' in page
    assert "<line " in page


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        (template("thank_you"), Preview(body="Thank you for being with us.")),
        (
            template("order_update", templateData=["Aina"]),
            Preview(body="Hi Aina, your order {{2}} is on its way.", footer="Reply STOP to opt out"),
        ),
        (
            template("appointment_reminder", "ms", templateData=["Klinik", "Ayu", "Isnin"]),
            Preview(
                header="Temu janji Klinik", body="Hai Ayu, jumpa anda pada Isnin.", buttons=("Hubungi kami",)
            ),
        ),
        (
            template(
                "appointment_reminder",
                "ms",
                templateData=["Ayu", "Isnin"],
                headerType="TEXT",
                header="Klinik",
            ),
            Preview(
                header="Temu janji Klinik", body="Hai Ayu, jumpa anda pada Isnin.", buttons=("Hubungi kami",)
            ),
        ),
        (
            template(
                "promo_image",
                templateData=["Ayu"],
                header="https://x/a.png",
                templateButton=[["id7"], [], []],
            ),
            Preview(
                header="[image] https://x/a.png",
                body="Ayu, our sale starts today.",
                footer="Terms apply",
                buttons=("Shop now → https://example.com/sale/id7", "Remind me", "Stop"),
            ),
        ),
        (
            template("summer_sale", templateData=["{{1}}"]),
            Preview(body="{{1}}, summer is here.", note="This template is PAUSED."),
        ),
        (
            template("no_such", "xx", templateData=["a", "b"]),
            Preview(body="a\nb", note="Template no_such (xx) is not known here."),
        ),
        (
            {"type": "list", "text": "Pick", "listData": ["a", {"title": "b"}, 3], "buttons": {}},
            Preview(body="Pick", buttons=("a", "b")),
        ),
        ({}, Preview()),
        (template(3, templateData=3, templateButton=3), Preview(note="Template  (en) is not known here.")),
    ],
)
def test_a_message_is_shown_as_a_phone_would_show_it(message, seen):
    assert preview(message, CATALOG) == seen


def test_the_chart_shows_the_last_two_minutes_alone():
    now = [1_000_000.0]
    sandbox = Sandbox(SandboxSettings(limit=None), monotonic=lambda: now[0], wall=lambda: now[0])
    sandbox.receive("Bearer a.b.c", b"{}")
    assert "<rect" in render_page(sandbox, nonce="n", show_phones=False)
    now[0] += 200
    assert "<rect" not in render_page(sandbox, nonce="n", show_phones=False)
