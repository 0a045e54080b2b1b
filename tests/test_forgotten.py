"""runner.forgotten: a keyed hash that is HMAC-SHA-256, in Python and in DuckDB alike."""

import hashlib
import hmac

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.forgotten import Forgotten, keyed_hash, keyed_hash_sql, pads, proof_of, read_key

KEY = b"k" * 32
PHONE = "6281230000001"


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(1, 10**15))
def test_sql_and_python_hash_a_phone_alike_and_as_rfc_2104_says(key, phone):
    expected = hmac.new(key, str(phone).encode(), hashlib.sha256).hexdigest()
    assert keyed_hash(key, str(phone)) == expected
    sql = keyed_hash_sql("CAST($phone AS BIGINT)", inner="$inner", outer="$outer")
    inner, outer = pads(key)
    values = {"phone": phone, "inner": inner, "outer": outer}
    assert duckdb.execute(f"SELECT {sql}", values).fetchone() == (expected,)


def test_who_was_forgotten_is_known_by_the_right_key_only():
    people = Forgotten(key=KEY, hashes=frozenset({keyed_hash(KEY, PHONE)}), last=1)
    assert people.knows(PHONE)
    assert not people.knows("6281230000002")
    assert not Forgotten(key=b"x" * 32, hashes=people.hashes, last=1).knows(PHONE)


def test_neither_the_key_nor_the_hashes_are_shown():
    people = Forgotten(key=KEY, hashes=frozenset({"abcdef"}), last=1)
    assert repr(people) == "Forgotten(last=1)"


def test_the_proof_tells_keys_apart():
    assert proof_of(KEY) == proof_of(KEY) != proof_of(KEY + b"k")
    assert KEY.decode() not in proof_of(KEY)


def test_a_key_that_could_be_found_by_trying_is_refused_and_not_repeated():
    assert read_key("k" * 32) == KEY
    with pytest.raises(UsageError, match="has 31 characters, and needs 32") as refused:
        read_key("z" * 31)
    assert "zzz" not in f"{refused.value}{refused.value.hint}"
