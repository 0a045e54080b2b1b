"""runner.encrypted_file: what was written comes out, or one error that says what is wrong."""

import base64
import io
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.encrypted_file import CHUNK, MAGIC, FileKey, decrypted, encrypting, is_encrypted, read_key
from runner.errors import PlanFileError, UsageError

KEY = FileKey(secret=bytes(range(32)))
OTHER = FileKey(secret=bytes(32))
HEAD, TAG, FOOT = len(MAGIC) + 1 + 8 + 32, 16, 8


def encrypted(plain, key=KEY, pieces=4096):
    stream = io.BytesIO()
    with encrypting(stream, key) as writer:
        for start in range(0, len(plain), pieces):
            writer.write(plain[start : start + pieces])
    return stream.getvalue()


def opened(data, key=KEY):
    return decrypted(io.BytesIO(data), key, "x.plan")


def text_of(length):
    return bytes(number % 251 for number in range(length))


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_what_was_written_comes_out(length):
    data = encrypted(text_of(length))
    assert is_encrypted(io.BytesIO(data))
    assert opened(data).read() == text_of(length)


def test_nothing_of_the_text_is_to_be_seen():
    data = encrypted(b"6281234567890" * 20_000)
    assert b"6281234567890"[:8] not in data


def test_the_same_text_is_never_the_same_file():
    assert encrypted(b"x") != encrypted(b"x")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2 * CHUNK + 100), st.integers(0, 70_000)), max_size=6))
def test_any_place_can_be_read(places):
    plain = text_of(2 * CHUNK + 7)
    reader = opened(encrypted(plain, pieces=50_000))
    for start, length in places:
        reader.seek(start)
        assert reader.read(length) == plain[start : start + length]
    assert reader.seek(-3, io.SEEK_END) == len(plain) - 3
    assert reader.read() == plain[-3:]


def test_a_key_is_32_bytes_in_base64_and_is_in_no_repr_and_no_error():
    text = base64.b64encode(b"\xfb" * 32).decode()
    assert read_key(f" {text}\n") == FileKey(secret=b"\xfb" * 32)
    assert read_key(text.replace("+", "-").replace("/", "_")) == FileKey(secret=b"\xfb" * 32)
    assert text not in repr(read_key(text))
    assert repr(b"\xfb" * 32) not in repr(read_key(text))
    for wrong in ("", "short", text[:-4], text + "AAAA", "é" * 44, text.replace("+", "!")):
        with pytest.raises(UsageError, match="not a key") as caught:
            read_key(wrong)
        assert "openssl rand -base64 32" in caught.value.hint
        assert not wrong or wrong not in f"{caught.value}{caught.value.hint}"


def test_without_a_key_another_key_and_a_change_are_told_apart():
    data = encrypted(text_of(100))
    with pytest.raises(PlanFileError, match="is encrypted, and RUNNER_PLAN_KEY is not set"):
        opened(data, None)
    with pytest.raises(PlanFileError, match="is encrypted with another key"):
        opened(data, OTHER)
    with pytest.raises(PlanFileError, match="was edited or damaged: part 1 of 1"):
        opened(flipped(data, HEAD + 3))


def flipped(data, at, bit=1):
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


@pytest.mark.parametrize("length", [0, 100, CHUNK, 2 * CHUNK + 50])
def test_wherever_it_is_cut_it_is_told_that_its_end_is_missing(length):
    data = encrypted(text_of(length))
    edges = {HEAD, HEAD + 1, HEAD + CHUNK + TAG, HEAD + 2 * (CHUNK + TAG), len(data) - FOOT, len(data) - 1}
    for end in sorted(edges | {len(MAGIC), 20}):
        if end < len(data):
            with pytest.raises(PlanFileError, match="is cut short: its end is missing"):
                opened(data[:end])


def test_no_flipped_bit_goes_unseen():
    plain = text_of(CHUNK + 300)
    data = encrypted(plain)
    places = [
        *range(len(MAGIC), HEAD + 20),
        *range(len(data) - 40, len(data)),
        HEAD + CHUNK,
        HEAD + CHUNK + TAG,
    ]
    for at in places:
        with pytest.raises(PlanFileError):
            opened(flipped(data, at, 1 << at % 8)).read()


def test_chunks_cannot_change_places_be_left_out_or_come_behind_the_end():
    size = CHUNK + TAG
    data = encrypted(text_of(3 * CHUNK + 9))
    head, foot = data[:HEAD], data[-FOOT:]
    one, two, three = (data[HEAD + number * size :][:size] for number in range(3))
    last = data[HEAD + 3 * size : -FOOT]
    for chunks in (
        (two, one, three, last),
        (one, three, last),
        (one, two, three),
        (one, two, three, last, last),
    ):
        with pytest.raises(PlanFileError, match=r"edited or damaged|cut short"):
            opened(head + b"".join(chunks) + foot).read()


def test_chunks_of_another_file_of_the_same_key_do_not_fit():
    data, other = encrypted(text_of(2 * CHUNK)), encrypted(text_of(2 * CHUNK))
    mixed = data[: HEAD + CHUNK + TAG] + other[HEAD + CHUNK + TAG :]
    with pytest.raises(PlanFileError, match="edited or damaged"):
        opened(mixed).read()


def test_a_file_of_a_later_version_says_so():
    data = bytearray(encrypted(b"x"))
    data[len(MAGIC)] = 2
    with pytest.raises(PlanFileError, match="in version 2, this version of runner reads 1"):
        opened(bytes(data))


def test_a_write_that_fails_leaves_no_file_that_would_be_read():
    stream = io.BytesIO()

    def fail():
        with encrypting(stream, KEY) as writer:
            writer.write(text_of(CHUNK + 1))
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    with pytest.raises(PlanFileError, match="cut short"):
        opened(stream.getvalue())


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    path, piece = tmp_path / "big", bytes(1024 * 1024)
    tracemalloc.start()
    try:
        with path.open("wb") as stream, encrypting(stream, KEY) as writer:
            for _ in range(64):
                writer.write(piece)
        with path.open("rb") as stream:
            reader = decrypted(stream, KEY, "big")
            assert sum(len(part) for part in iter(lambda: reader.read(100_000), b"")) == 64 * len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(piece)


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.hashes", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        read_key(base64.b64encode(bytes(32)).decode())
    assert caught.value.hint == "pip install 'campaign-runner[encryption]'"
