"""Makes up people of four countries, with the mess that real exports have; used by make_data.py.

The phones are valid in form only: they are drawn at random, and nobody agreed to get messages on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

SEED = "campaign examples"
_NBSP = "\u00a0"
_FULL_WIDTH = str.maketrans("0123456789+", "０１２３４５６７８９＋")


def _words(text: str, separator: str = " ") -> tuple[str, ...]:
    return tuple(text.split(separator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """How one country's people and phones look.

    `mobiles` and `landlines` map a prefix (without the trunk `0`) to the length of the whole national number.
    `groups` is how people group its digits. The `given` and `family` names are put together by `join`.
    """

    code: str
    trunk: str
    mobiles: Mapping[str, int]
    landlines: Mapping[str, int]
    groups: tuple[int, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    join: str
    emoji: tuple[str, ...]
    right_to_left: tuple[str, ...]
    not_a_phone: str


INDONESIA = Country(
    code="62",
    trunk="0",
    mobiles={
        "812": 11,
        "813": 11,
        "811": 10,
        "815": 11,
        "857": 11,
        "858": 12,
        "877": 11,
        "878": 12,
        "896": 11,
    },
    landlines={"21": 10, "22": 9, "31": 10},
    groups=(3, 4, 5),
    given=_words(
        "Ayu Budi Siti Dewi Rizky Putri Agus Nur Dian Eko Fitri Hendra Indah Joko Kartika Lestari Wayan "
        "Ratna Yoga Taufik Sari Bayu Citra Galih Intan Reza Wulan Fajar Mega Anisa Dimas Rani Tono Vina"
    ),
    family=_words("Aini Pratama Wahyuni Saputra Utami Hidayat Maharani Nugroho Rahmawati Santoso"),
    join="{given}",
    emoji=("Ayu 🌸", "🔥Rizky🔥", "Bunda Sari 👩\u200d👧", "Dimas 🇮🇩", "✨ Intan ✨"),
    right_to_left=("محمد", "فاطمة الزهراء", "\u200fعائشة"),
    not_a_phone="tidak ada",
)
SINGAPORE = Country(
    code="65",
    trunk="",
    mobiles={"81": 8, "82": 8, "87": 8, "90": 8, "91": 8, "93": 8, "96": 8, "98": 8},
    landlines={"62": 8, "65": 8, "67": 8},
    groups=(4, 4),
    given=_words(
        "Wei Ling|Jun Hao|Mei Yee|Kai Xin|Chloe|Marcus|Nurul Huda|Farhan|Siti Mariam|Priya|Arjun|Kavitha|"
        "Rachel|Zhi Hao|Hui Min|Daniel|Aisyah|Ravi|Grace|Yong Sheng",
        "|",
    ),
    family=_words("Tan Lim Ong Koh Goh Chua Rahman Ismail Nair Menon Pillai Teo Yeo Sim Lee O'Brien"),
    join="{given} {family}",
    emoji=("Rachel 🦄 Tan", "😎 Marcus", "Grace 💐", "Jun Hao 🏀"),
    right_to_left=("نورول هدى", "فرحان رحمن"),
    not_a_phone="same as billing",
)
MALAYSIA = Country(
    code="60",
    trunk="0",
    mobiles={"12": 9, "137": 9, "16": 9, "172": 9, "19": 9, "111": 10, "112": 10},
    landlines={"38": 9, "322": 9},
    groups=(2, 3, 5),
    given=_words(
        "Muhammad Faiz|Nur Aisyah|Ahmad Zaki|Siti Hajar|Wong Li|Lee Mei|Kavitha|Suresh|Amirul|Farah|Hafiz|"
        "Izzati|Nabilah|Syafiq|Chong Wai|Deepa|Ganesh|Aina|Harith|Liyana",
        "|",
    ),
    family=_words("bin Rahman|binti Ismail|bin Osman|binti Yusof|Yee|Kit|a/p Samy|a/l Raju|Hui|bin Ali", "|"),
    join="{given} {family}",
    emoji=("Farah 💕", "Hafiz ⚽", "🌺 Aina 🌺", "Mak Cik Siti 🍜"),
    right_to_left=("محمد فيصل", "نور عيني"),
    not_a_phone="tiada",
)
JAPAN = Country(
    code="81",
    trunk="0",
    mobiles={"901": 10, "904": 10, "908": 10, "802": 10, "805": 10, "701": 10, "704": 10},
    landlines={"33": 9, "66": 9, "45": 9},
    groups=(2, 4, 4),
    given=_words("陽子 健一 美咲 翔太 さくら 大輔 結衣 直樹 由美 拓也 葵 蓮 真由美 浩二 凛 誠 七海 隆"),
    family=_words("佐藤 鈴木 高橋 田中 伊藤 渡辺 山本 中村 小林 加藤 吉田 山田 佐々木 長谷川 髙島 﨑山"),
    join="{family}　{given}",
    emoji=("田中🌸美咲", "ゆい☆彡", "けんいち😊", "山田(仮)🐈"),
    right_to_left=("محمد علي", "יעל כהן"),
    not_a_phone="登録なし",
)

#: How people write a number in their own country or abroad, and how often. `n` is the national number.
Writing = Callable[[Country, str], str]
_WRITINGS: tuple[tuple[int, Writing], ...] = (
    (24, lambda c, n: f"{c.trunk}{n}"),
    (20, lambda c, n: f"{c.trunk}{_grouped(c, n, '-')}"),
    (14, lambda c, n: f"+{c.code}{n}"),
    (12, lambda c, n: f"+{c.code} {_grouped(c, n, '-')}"),
    (10, lambda c, n: f"{c.code}{n}"),
    (4, lambda c, n: f"00{c.code}{n}"),
    (4, lambda c, n: f"{c.trunk}{_grouped(c, n, '.')}"),
    (3, lambda c, n: f"{c.code}{n}.0"),
    (3, lambda c, n: f"{c.trunk}{_grouped(c, n, '-')}".translate(_FULL_WIDTH)),
    (3, lambda c, n: f"+{c.code}{_NBSP}{_grouped(c, n, _NBSP)}"),
    (3, lambda c, n: n),
    (3, lambda c, n: f" {c.trunk}{_grouped(c, n, ' ')} "),
    (2, lambda c, n: f"({c.trunk}{n[: c.groups[0]]}) {n[c.groups[0] :]}"),
    (2, lambda c, n: f"+{c.code}{n}".translate(_FULL_WIDTH)),
)
_WEIGHTS = tuple(weight for weight, _ in _WRITINGS)
#: Writings that are read the same in every country: those a list for all campaigns may use.
ABROAD = tuple(_WRITINGS[index][1] for index in (2, 3, 5, 9, 13))

#: The mess that every campaign's data has: kind of row -> how many.
_COMMON_MESS = {
    "missing_phone": 60,
    "bad_phone": 56,
    "landline": 45,
    "consent_false": 90,
    "consent_null": 60,
    "duplicate": 60,
    "null_name": 40,
    "blank_name": 20,
    "emoji_name": 25,
    "right_to_left_name": 6,
    "untidy_name": 60,
    "newline_name": 3,
    "tab_name": 1,
    "spaces_name": 1,
    "long_name": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One row's person. `kind` names the mess in the row, `clean` if none; `national` is the number meant."""

    kind: str
    national: str
    phone: str | None
    name: str | None
    consent: bool | None


def people(country: Country, name: str, count: int, special: Mapping[str, int]) -> list[Person]:
    """Return `count` people of one country: the common mess, the `special` one, and clean rows for the rest.

    No number comes twice but in rows of the kind `duplicate`, each of which repeats a clean row's person.
    """
    rng = Random(f"{SEED}/{name}")
    kinds = [kind for kind, times in {**_COMMON_MESS, **special}.items() for _ in range(times)]
    kinds += ["clean"] * (count - len(kinds))
    rng.shuffle(kinds)
    meant = numbers(rng, country.mobiles, count)
    made = [_person(rng, country, kind, national) for kind, national in zip(kinds, meant, strict=True)]
    again = rng.sample([person for person in made if person.kind == "clean"], _COMMON_MESS["duplicate"])
    return [_repeated(rng, country, again.pop()) if person.kind == "duplicate" else person for person in made]


def numbers(rng: Random, prefixes: Mapping[str, int], count: int) -> list[str]:
    """Return `count` different national numbers with these prefixes and lengths."""
    found: dict[str, None] = {}
    while len(found) < count:
        prefix, length = rng.choice(list(prefixes.items()))
        found[prefix + "".join(rng.choices("0123456789", k=length - len(prefix)))] = None
    return list(found)


def _person(rng: Random, country: Country, kind: str, national: str) -> Person:
    consent = {"consent_false": False, "consent_null": None, "unknown_customer": None}.get(kind, True)
    return Person(
        kind=kind,
        national=national,
        phone=_phone(rng, country, kind, national),
        name=_name(rng, country, kind),
        consent=consent,
    )


def _repeated(rng: Random, country: Country, original: Person) -> Person:
    """Return the same person as a second system holds them: another writing of phone and name."""
    name = original.name or ""
    return Person(
        kind="duplicate",
        national=original.national,
        phone=_written(rng, country, original.national, other_than=original.phone),
        name=rng.choice([name, name.upper(), name.lower()]),
        consent=True,
    )


def _phone(rng: Random, country: Country, kind: str, national: str) -> str | None:
    if kind == "missing_phone":
        return rng.choice([None, None, "", "   "])
    if kind == "bad_phone":
        return _bad_phone(rng, country, national)
    if kind == "landline":
        (landline,) = numbers(rng, country.landlines, 1)
        return rng.choice([f"{country.trunk}{landline}", f"+{country.code} {landline}"])
    if kind == "ambiguous_phone":
        # Indonesian mobiles without their 0, or Japanese and Hong Kong ones with their country code.
        tail = "".join(rng.choices("12345678", k=8))
        return rng.choice([f"8190{tail}", f"85296{tail[2:]}"])
    return _written(rng, country, national)


def _bad_phone(rng: Random, country: Country, national: str) -> str:
    """Return what is found in phone columns but is no phone."""
    digits, written = country.code + national, f"{country.trunk}{_grouped(country, national, '-')}"
    bad = (
        written[:-4].rstrip("-"),
        f"+{country.code} {_grouped(country, national, '-')}-12345",
        f"{written} / {written[:-2]}99",
        f"{digits[0]}.{digits[1:6]}E+{len(digits) - 1}",
        "0000000000",
        country.not_a_phone,
        "pelanggan@example.com",
    )
    return rng.choice(bad)


def _written(rng: Random, country: Country, national: str, other_than: str | None = None) -> str:
    while True:
        ((_, write),) = rng.choices(_WRITINGS, weights=_WEIGHTS)
        text = write(country, national)
        if text != other_than:
            return text


def _grouped(country: Country, national: str, separator: str) -> str:
    parts, rest = [], national
    for size in country.groups[:-1]:
        parts.append(rest[:size])
        rest = rest[size:]
    return separator.join([*parts, rest])


def _name(rng: Random, country: Country, kind: str) -> str | None:
    given, family = rng.choice(country.given), rng.choice(country.family)
    name = country.join.format(given=given, family=family)
    special: dict[str, str | None] = {
        "null_name": None,
        "unknown_customer": None,
        "blank_name": rng.choice(["", " ", "   "]),
        "wide_blank_name": "　",
        "half_width_name": rng.choice(["ﾔﾏﾀﾞ ﾊﾅｺ", "ｻﾄｳ ｹﾝ", "ｽｽﾞｷ ﾐｻｷ"]),
        "emoji_name": rng.choice(country.emoji),
        "right_to_left_name": rng.choice(country.right_to_left),
        "untidy_name": rng.choice([f"  {name} ", name.upper(), name.lower()]),
        "newline_name": f"{given}\n{family}",
        "tab_name": f"{given}\t{family}",
        "spaces_name": f"{given}      {family}",
        "long_name": (given * 5000)[:5000],
    }
    return special.get(kind, name)
