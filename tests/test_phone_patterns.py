"""The compiled patterns agree with phonenumbers, number by number, and the facts they rest on hold."""

from __future__ import annotations

import importlib
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import duckdb
import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from runner.campaign import PhoneStyle
from runner.phone import MAX_DIGITS, heads_sql, reading_sql
from runner.phone_patterns import (
    calling_code_of,
    calling_codes,
    plan_of_region,
    plans_of_code,
)

phonenumbers.enable_pattern_cache()

MOBILES = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)

#: What a text comes to: the valid number, and whether it is a mobile; None for none.
Verdict = tuple[str, bool] | None


def judged(text: str, region: str | None = None) -> Verdict:
    """Ask phonenumbers."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    kind = phonenumbers.number_type(number)
    assert phonenumbers.is_valid_number(number) == (kind != PhoneNumberType.UNKNOWN)
    digits = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    valid = kind != PhoneNumberType.UNKNOWN and len(digits) <= MAX_DIGITS
    return (digits, kind in MOBILES) if valid else None


@cache
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 2})


def read(
    texts: Iterable[str],
    region: str | None = None,
    style: PhoneStyle | None = None,
    *,
    every_code: bool = False,
) -> dict[str, Verdict]:
    """Ask the SQL: each text's valid number, and whether it is a mobile."""
    connection = database()
    connection.execute(
        "CREATE OR REPLACE TABLE cells AS SELECT unnest($texts) AS cell", {"texts": list(texts)}
    )
    how = {"column": "cell", "column_type": "VARCHAR", "region": region, "style": style}
    rows = connection.execute(heads_sql("cells", **how)).fetchall()
    heads = None if every_code else [head for (head,) in rows if head is not None]
    rows = connection.execute(reading_sql("cells", **how, heads=heads)).fetchall()
    assert all(other is None for *_, other in rows)
    return {
        cell: None if valid is None else (str(valid), reason is None) for cell, _, reason, valid, _ in rows
    }


@cache
def examples_of(region: str) -> tuple[str, ...]:
    """List the example numbers of a region in E.164, with their `+`."""
    numbers = (phonenumbers.example_number_for_type(region, kind) for kind in PhoneNumberType.values())
    return tuple(sorted({e164(number) for number in numbers if number is not None}))


@cache
def examples() -> tuple[str, ...]:
    """List every example number of the metadata."""
    worldwide = phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS
    found = {e164(phonenumbers.example_number_for_non_geo_entity(code)) for code in worldwide}
    return tuple(sorted(found.union(*map(examples_of, REGIONS))))


def e164(number: phonenumbers.PhoneNumber) -> str:
    return f"+{number.country_code}{phonenumbers.national_significant_number(number)}"


def mutated(text: str, dice: random.Random) -> str:
    """Change, add or drop a digit or two, after the first."""
    for _ in range(dice.choice((1, 1, 1, 2))):
        place, digit = dice.randrange(1, len(text) + 1), str(dice.randrange(10))
        text = text[:place] + dice.choice((digit, digit, digit, "", digit * 2)) + text[place + 1 :]
    return text


def random_numbers(count: int, seed: int) -> Iterator[str]:
    """Make numbers of every calling code: half mutated examples, half random digits after the code."""
    dice = random.Random(seed)
    known, codes = examples(), calling_codes()
    for _ in range(count // 2):
        yield "+" + mutated(dice.choice(known)[1:], dice)
        length = dice.choice((5, 6, 7, 8, 8, 9, 9, 9, 10, 10, 10, 11, 12, 13))
        yield f"+{dice.choice(codes)}{dice.randrange(10**length):0{length}d}"


def disagreements(ours: dict[str, Verdict], theirs: Callable[[str], Verdict]) -> dict[str, object]:
    wrong = {}
    for text, verdict in ours.items():
        expected = theirs(text)
        if verdict != expected:
            wrong[text] = (verdict, expected)
    return wrong


def test_every_example_number_of_the_metadata_reads_as_phonenumbers_reads_it():
    assert len(examples()) > 1_000

    ours = read(examples(), every_code=True)

    assert disagreements(ours, judged) == {}
    assert all(ours.values())


def test_100_000_random_numbers_read_as_phonenumbers_reads_them():
    texts = list(random_numbers(100_000, seed=20260320))

    ours = read(texts)

    assert disagreements(ours, judged) == {}
    assert sum(verdict is not None for verdict in ours.values()) > 15_000


def national_texts(region: str, dice: random.Random, count: int) -> Iterator[str]:
    """Write numbers as somebody in a region might dial them, most of them a little wrong."""
    plan = plan_of_region(region)
    own = [text[1 + len(str(plan.code)) :] for text in examples_of(region)]
    trunks = ["", "", *trunk_prefixes(region), str(plan.code), f"{plan.code}0"]
    exits = ["".join(char for char in plan.exit_prefix.split("|")[0] if char.isdigit()), "011", "010", "00"]
    for _ in range(count):
        national = dice.choice(own)
        written = dice.choice(trunks) + (national if dice.random() < 0.3 else mutated(national, dice))
        yield written
        yield written[-7:]
        yield dice.choice(exits) + dice.choice(examples())[1:]


def trunk_prefixes(region: str) -> list[str]:
    """List prefixes to dial within a region: the plain one, carriers', and those that rewrite the number."""
    plain = phonenumbers.ndd_prefix_for_region(region, True) or "0"
    more = {
        "AR": ["0", "011", "0221", "029015"],
        "BR": ["0", "90", "015", "021", "9021"],
        "CN": ["0", "12593", "17951"],
        "CO": ["03", "05", "0414"],
        "CR": ["1900", "1910"],
        "GA": ["0", "011", "06"],
        "HU": ["06"],
        "JP": ["0", "0003", "0037680"],
        "KR": ["0", "0082", "081"],
        "RU": ["8"],
        "SM": ["0549", "8"],
    }
    return [plain, *more.get(region, [])]


def telling_regions() -> list[str]:
    """List the regions whose dialling is special, and every fourth of the plain ones, to save time."""
    plans = [plan_of_region(region) for region in REGIONS]
    special = [
        plan.region
        for plan in plans
        if plan.leading
        or plan.transform
        or len(plans_of_code(plan.code)) > 1
        or not (plan.prefix or "0").isdigit()
    ]
    return sorted({*special, *REGIONS[::4]})


@pytest.mark.parametrize("part", range(3))
def test_numbers_dialled_in_a_region_read_as_phonenumbers_reads_them(part: int):
    for region in telling_regions()[part::3]:
        dice = random.Random(f"{region} 1")
        texts = {text for text in national_texts(region, dice, 12) if not text.startswith("00")}

        ours = read(texts, region, PhoneStyle.NATIONAL)

        assert disagreements(ours, lambda text, region=region: judged(text, region)) == {}, region


def test_a_calling_code_is_found_at_the_start_of_international_digits():
    assert [calling_code_of(digits) for digits in ("628", "198", "799", "852", "88213")] == [
        62,
        1,
        7,
        852,
        882,
    ]
    assert [calling_code_of(digits) for digits in ("", "0", "062", "999", "21")] == [None] * 5


def test_a_region_without_a_numbering_plan_is_none():
    assert plan_of_region("ID").code == 62
    assert plan_of_region("XX") is None
    assert plan_of_region("001") is None


# The proofs below look at the patterns themselves, as automata over ten digits.


class Automaton:
    """One pattern of the metadata as a machine: a state is the set of places it may be at."""

    def __init__(self, pattern: str) -> None:
        self.jumps: list[list[int]] = [[]]
        self.edges: list[list[tuple[frozenset[int], int]]] = [[]]
        self.steps: dict[tuple[frozenset[int], int], frozenset[int]] = {}
        parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
        self.end = self._build(parser.parse(pattern), 0)
        self.start = self._closed([0])

    def step(self, state: frozenset[int], digit: int) -> frozenset[int]:
        if (state, digit) not in self.steps:
            reached = [to for place in state for digits, to in self.edges[place] if digit in digits]
            self.steps[state, digit] = self._closed(reached)
        return self.steps[state, digit]

    def lengths(self) -> set[int]:
        state, found = self.start, set()
        for length in range(30):
            found |= {length} if self.end in state else set()
            state = self._closed([to for place in state for _, to in self.edges[place]])
        return found

    def _new(self) -> int:
        self.jumps.append([])
        self.edges.append([])
        return len(self.jumps) - 1

    def _closed(self, places: list[int]) -> frozenset[int]:
        reached = set(places)
        while places:
            fresh = [to for place in places for to in self.jumps[place] if to not in reached]
            reached.update(fresh)
            places = fresh
        return frozenset(reached)

    def _build(self, nodes, at: int) -> int:
        for kind, value in nodes:
            at = getattr(self, f"_{str(kind).lower()}")(value, at)
        return at

    def _digits(self, digits: frozenset[int], at: int) -> int:
        to = self._new()
        self.edges[at].append((digits, to))
        return to

    def _literal(self, char: int, at: int) -> int:
        return self._digits(frozenset({char - 48}), at)

    def _in(self, items, at: int) -> int:
        digits: set[int] = set()
        for kind, value in items:
            one = {"LITERAL": lambda v: (v, v), "RANGE": lambda v: v, "CATEGORY": lambda _: (48, 57)}
            low, high = one[str(kind)](value)
            digits.update(range(low - 48, high - 47))
        return self._digits(frozenset(digits), at)

    def _subpattern(self, value, at: int) -> int:
        return self._build(value[3], at)

    def _branch(self, value, at: int) -> int:
        end = self._new()
        for nodes in value[1]:
            start = self._new()
            self.jumps[at].append(start)
            self.jumps[self._build(nodes, start)].append(end)
        return end

    def _max_repeat(self, value, at: int) -> int:
        least, most, nodes = value
        for _ in range(least):
            at = self._build(nodes, at)
        end = self._new()
        self.jumps[at].append(end)
        for _ in range(int(most) - least):
            at = self._build(nodes, at)
            self.jumps[at].append(end)
        return end


def counterexample(one: Automaton, two: Automaton, wrong: Callable[[bool, bool], bool]) -> str | None:
    """Find digits that the first pattern may go on with and for which the two answers are wrong together."""
    seen = {(one.start, two.start)}
    todo = [(one.start, two.start, "")]
    while todo:
        here, there, text = todo.pop()
        if wrong(one.end in here, two.end in there):
            return text
        for digit in range(10):
            pair = (one.step(here, digit), two.step(there, digit))
            if pair[0] and pair not in seen:
                seen.add(pair)
                todo.append((*pair, text + str(digit)))
    return None


def every_metadata() -> Iterator[tuple[phonenumbers.PhoneMetadata, str | None]]:
    """Give the metadata of every region, and its mobile pattern as `plans_of_code` has it."""
    for code in calling_codes():
        for plan in plans_of_code(code):
            yield (
                phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, plan.region),
                plan.mobile,
            )


EARLIER = [
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
]


def descriptions(metadata, names) -> list[phonenumbers.PhoneNumberDesc]:
    found = [getattr(metadata, name) for name in names]
    return [one for one in found if one is not None and one.national_number_pattern]


def test_no_mobile_number_fits_a_type_that_is_asked_before_mobile():
    for metadata, mobile in every_metadata():
        patterns = [one.national_number_pattern for one in descriptions(metadata, EARLIER)]
        if mobile and patterns:
            both = counterexample(Automaton(mobile), Automaton("|".join(patterns)), lambda a, b: a and b)
            assert both is None, (metadata.id, both)


def test_every_mobile_number_fits_the_general_pattern_of_its_region():
    for metadata, mobile in every_metadata():
        if mobile:
            general = Automaton(metadata.general_desc.national_number_pattern)
            outside = counterexample(Automaton(mobile), general, lambda a, b: a and not b)
            assert outside is None, (metadata.id, outside)


def test_no_type_has_numbers_longer_or_shorter_than_its_possible_lengths():
    for metadata, _ in every_metadata():
        for one in descriptions(metadata, [*EARLIER, "fixed_line", "mobile"]):
            allowed = set(one.possible_length) & set(metadata.general_desc.possible_length)
            assert Automaton(one.national_number_pattern).lengths() <= allowed, metadata.id


def test_a_transform_takes_the_last_group_of_a_prefix_and_it_is_never_empty():
    rules = [plan for plan in map(plan_of_region, REGIONS) if plan.transform]
    assert len(rules) > 20
    for plan in rules:
        assert re.fullmatch(r"\d*\\\d", plan.transform)
        assert re.compile(plan.prefix).groups == int(plan.transform[-1])
        group = plan.prefix[[found.start() for found in re.finditer(r"\((?!\?)", plan.prefix)][-1] :]
        assert 0 not in Automaton(group[: closing(group)]).lengths()


def closing(text: str) -> int:
    """Find where the bracket that a text starts with closes."""
    depth = 0
    for place, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0:
            return place + 1
    raise ValueError(text)


def test_every_region_has_an_exit_prefix():
    assert all(plan_of_region(region).exit_prefix for region in REGIONS)
