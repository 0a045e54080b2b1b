import base64

import pytest

from runner.sandbox.tokens import TokenVerdict, judge_authorization, judge_token


def claims(text):
    return f"e30.{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.sig"


@pytest.mark.parametrize(
    ("token", "verdict"),
    [
        ("a.b.c", TokenVerdict.GOOD),
        ("a.b-_9.c", TokenVerdict.GOOD),
        ("a.b", TokenVerdict.MALFORMED),
        ("a..c", TokenVerdict.MALFORMED),
        ("a.b.c\n", TokenVerdict.MALFORMED),
        ("a.b.ç", TokenVerdict.MALFORMED),
        (claims(b'{"exp": 999}'), TokenVerdict.EXPIRED),
        (claims(b'{"exp": 1000}'), TokenVerdict.EXPIRED),
        (claims(b'{"exp": 1001}'), TokenVerdict.GOOD),
        (claims(b'{"exp": "soon"}'), TokenVerdict.GOOD),
        (claims(b'{"exp": null}'), TokenVerdict.GOOD),
        (claims(b"[]"), TokenVerdict.GOOD),
        (claims(b"{}"), TokenVerdict.GOOD),
    ],
)
def test_a_token_passes_by_its_shape_and_its_expiry(token, verdict):
    assert judge_token(token, 1000.0) is verdict


def test_bearer_is_read_in_any_case():
    assert judge_authorization("bearer a.b.c", 0.0) is TokenVerdict.GOOD
    assert judge_authorization("Bearer   a.b.c ", 0.0) is TokenVerdict.GOOD
    assert judge_authorization(None, 0.0) is TokenVerdict.MALFORMED
