"""Inputs that get past the first check: sound files, changed here and there; for hypothesis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Edit = tuple[int, int, bytes]


def changed(seeds: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy of any bytes, and of `seeds` with a few edits, some of them by `words`."""
    word = st.one_of(st.sampled_from(list(words)), st.binary(max_size=8))
    edits = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1 << 16), word), max_size=8)
    return st.one_of(
        st.builds(edited, st.sampled_from(list(seeds)), edits),
        st.builds(edited, st.sampled_from(list(seeds)), edits),
        st.binary(max_size=400),
        st.lists(st.sampled_from(list(words)), max_size=40).map(b"".join),
    )


def edited(seed: bytes, edits: Sequence[Edit]) -> bytes:
    """Return `seed` with each edit made: put in, write over, take out, repeat, or cut off."""
    data = seed
    for kind, at, word in edits:
        place = at % (len(data) + 1)
        head, tail = data[:place], data[place:]
        data = (
            head + word + tail,
            head + word + tail[len(word) :],
            head + tail[len(word) or 1 :],
            head + tail[:40] * 3 + tail,
            head,
        )[kind]
    return data


def changed_json(seed: Callable[[], Any]) -> st.SearchStrategy[bytes]:
    """Return a strategy of a JSON document in which some values are replaced by any JSON values."""
    leaf = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(["../x", "\x1b[31m", "2026-01-01", "0001-01-01T00:00:00+00:00", "Asia/Jakarta", 0]),
    )
    value = st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
    changes = st.lists(st.tuples(st.integers(0, 1 << 16), value), max_size=4)
    return changes.map(lambda made: _with(seed(), made))


def _with(seed: Any, changes: Sequence[tuple[int, Any]]) -> bytes:
    document = deepcopy(seed)
    for at, value in changes:
        places = list(_places(document))
        holder, key = places[at % len(places)]
        holder[key] = value
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
