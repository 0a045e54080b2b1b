"""Writes the data of the example campaigns: data/ and lists/, from the people that made_people.py makes up.

Run `python campaigns/make_data.py`; every run writes the same files.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, TextIO

from made_people import ABROAD, INDONESIA, JAPAN, MALAYSIA, SEED, SINGAPORE, Country, Person, numbers, people

_Row = tuple[Any, ...]


def make_all(root: Path) -> None:
    """Write every data file of the examples, and the suppression list, under `root`."""
    shoppers = people(
        INDONESIA, "lebaran_promo", 2400, {"ambiguous_phone": 6, "suppressed": 8, "no_voucher": 7}
    )
    buyers = people(
        SINGAPORE, "order_update", 2100, {"suppressed": 4, "unknown_customer": 9, "newline_tracking": 4}
    )
    members = people(MALAYSIA, "payment_reminder", 2200, {"suppressed": 3})
    users = people(
        JAPAN, "maintenance_notice_ja", 2050, {"suppressed": 3, "half_width_name": 30, "wide_blank_name": 3}
    )
    _write_lebaran(root / "data/lebaran_promo", shoppers)
    _write_orders(root / "data/order_update", buyers)
    _write_invoices(root / "data/payment_reminder", members)
    _write_accounts(root / "data/maintenance_notice_ja", users)
    customers = people(SINGAPORE, "winback_sg", 900, {})
    _write_customers(root / "data/crm", customers)
    _write_audience(root / "data/cdp_audience_287197", people(INDONESIA, "vip_restock", 800, {}))
    all_people = ((INDONESIA, shoppers), (SINGAPORE, buyers), (MALAYSIA, members), (JAPAN, users))
    _write_never(root / "lists/never.csv", all_people)


def _write_lebaran(folder: Path, shoppers: Sequence[Person]) -> None:
    rng = Random(f"{SEED}/lebaran_promo columns")
    cities = ("Jakarta", "Bandung", "Surabaya", "Medan", "Makassar", "Semarang", "Denpasar", "Yogyakarta")
    rows: list[_Row] = []
    for number, person in enumerate(shoppers, start=1):
        points = rng.choice(
            [0, rng.randint(50, 999), rng.randint(1_000, 99_999), rng.randint(100_000, 2_500_000)]
        )
        voucher = None if person.kind == "no_voucher" else f"LBR{_code(rng, 6)}"
        known_as = (f"C{number:05}", person.name, person.phone, f"pelanggan{number}@example.com")
        rows.append((*known_as, rng.choice(cities), points, voucher, person.consent, "active"))
    for number, phone in enumerate(numbers(rng, {"821": 11}, 100), start=1):
        rows.append((f"X{number:05}", "Tutup", f"0{phone}", None, "Jakarta", 0, None, False, "closed"))
    rng.shuffle(rows)
    header = "customer_id,first_name,phone,email,city,points,voucher_code,wa_opt_in,status"
    _write_csv(folder / "customers.csv", header, rows)


def _write_orders(folder: Path, buyers: Sequence[Person]) -> None:
    """Write orders with a delivery phone, or with none: then the customer's account has it, as a number."""
    rng = Random(f"{SEED}/order_update columns")
    orders: list[_Row] = []
    customers: list[_Row] = []
    for number, person in enumerate(buyers, start=1):
        from_account = person.kind in {"clean", "duplicate", "suppressed"} and rng.random() < 0.25
        mobile = float(rng.choice(["65", ""]) + person.national) if from_account else None
        shipped_on = date(2026, 11, 2) + timedelta(days=rng.randrange(14))
        amount = Decimal(rng.choice([rng.randint(800, 9_999), rng.randint(10_000, 199_999)])).scaleb(-2)
        tracking_no = f"SG{_code(rng, 9)}" + ("\n" if person.kind == "newline_tracking" else "")
        delivery_phone = None if from_account else person.phone
        parcel = (shipped_on, amount, tracking_no, "shipped")
        orders.append((f"A-{10000 + number}", f"U{number:05}", delivery_phone, *parcel))
        if person.kind != "unknown_customer":
            customers.append((f"U{number:05}", person.name, mobile, person.consent))
    orders += [
        (f"A-{20000 + n}", f"U{n:05}", None, None, Decimal(25), None, "packing") for n in range(1, 151)
    ]
    rng.shuffle(orders)
    header = "order_id,customer_id,delivery_phone,shipped_on,amount,tracking_no,status"
    _write_csv(folder / "orders.csv", header, orders)
    columns = {"customer_id": "string", "full_name": "string", "mobile": "float64", "wa_opt_in": "bool"}
    _write_parquet(folder / "customers.parquet", columns, customers)


def _write_invoices(folder: Path, members: Sequence[Person]) -> None:
    rng = Random(f"{SEED}/payment_reminder columns")
    rows: list[_Row] = []
    for number, person in enumerate(members, start=1):
        due = date(2026, 12, 1) + timedelta(days=rng.randrange(31))
        amount = Decimal(rng.choice([rng.randint(1_000, 99_999), rng.randint(100_000, 950_000)])).scaleb(-2)
        who = (f"INV-2026-{number:05}", f"M{number:05}", person.name, person.phone)
        rows.append((*who, amount, due, "unpaid", person.consent))
    for number, phone in enumerate(numbers(rng, {"146": 9}, 200), start=1):
        who = (f"INV-2025-{number:05}", f"P{number:05}", "Sudah Bayar", f"0{phone}")
        rows.append((*who, Decimal(88), date(2025, 12, 1), "paid", True))
    rng.shuffle(rows)
    columns = dict.fromkeys(("invoice_no", "member_id", "name", "phone"), "string")
    columns |= {"amount_due": "money", "due_date": "date32", "status": "string", "wa_consent": "bool"}
    _write_parquet(folder / "invoices.parquet", columns, rows)


def _write_accounts(folder: Path, users: Sequence[Person]) -> None:
    rng = Random(f"{SEED}/maintenance_notice_ja columns")
    services = ("オンライン会員サービス", "ポイントカード", "定期便", "法人ポータル")
    lines = []
    for number, person in enumerate(users, start=1):
        record = {
            "account_id": f"J{number:05}",
            "name": person.name,
            "tel": person.phone,
            "service": rng.choice(services),
            "maintenance_date": (date(2027, 2, 7) + timedelta(weeks=rng.randrange(4))).isoformat(),
            "notify_ok": person.consent,
        }
        # Some systems write null, others leave the key out: both are found in one export.
        sparse = {key: value for key, value in record.items() if value is not None}
        lines.append(json.dumps(rng.choice([record, sparse]), ensure_ascii=False) + "\n")
    rng.shuffle(lines)
    with _opened(folder / "accounts.jsonl") as file:
        file.writelines(lines)


def _write_customers(folder: Path, customers: Sequence[Person]) -> None:
    """Write a table of a customer database, as Treasure Data has one: with `time`, and phones as text."""
    rng = Random(f"{SEED}/winback_sg columns")
    rows: list[_Row] = []
    for number, person in enumerate(customers, start=1):
        seen = datetime(2026, 5, 1, tzinfo=timezone.utc) + timedelta(minutes=rng.randrange(60 * 24 * 60))
        points = rng.choice([0, rng.randint(100, 999), rng.randint(1_000, 90_000)])
        who = (f"K{number:05}", person.name, person.phone, person.consent)
        rows.append((int(seen.timestamp()), *who, "SG", points, seen.strftime("%Y-%m-%d %H:%M:%S")))
    for number, phone in enumerate(numbers(rng, {"91": 8}, 100), start=1):
        rows.append((1_790_000_000, f"N{number:05}", "New Here", f"+65{phone}", True, "SG", 50, None))
    rng.shuffle(rows)
    columns = {"time": "int64", "customer_id": "string", "first_name": "string", "phone": "string"}
    columns |= {"wa_opt_in": "bool", "country": "string", "points": "int64", "last_purchase": "string"}
    _write_parquet(folder / "customers.parquet", columns, rows)


def _write_audience(folder: Path, members: Sequence[Person]) -> None:
    """Write the table that a parent segment of Audience Studio makes."""
    rng = Random(f"{SEED}/vip_restock columns")
    favourites = ("Kopi Gayo 250 g", "Batik Mega Mendung", "Sambal Roa", None)
    rows: list[_Row] = []
    for number, person in enumerate(members, start=1):
        who = (1_795_000_000, f"cdp-{number:05}", f"V{number:05}", person.name, person.phone)
        tier, city = rng.choice(["vip", "gold", "member"]), rng.choice(["Jakarta", "Bandung", "Medan"])
        rows.append((*who, person.consent, tier, city, rng.choice(favourites)))
    columns = {"time": "int64"} | dict.fromkeys(("cdp_customer_id", "customer_id"), "string")
    columns |= {"first_name": "string", "phone": "string", "wa_opt_in": "bool"}
    columns |= dict.fromkeys(("tier", "city", "favourite"), "string")
    _write_parquet(folder / "customers.parquet", columns, rows)


def _write_never(path: Path, all_people: Iterable[tuple[Country, Sequence[Person]]]) -> None:
    """Write who must never get a message: people of the data, and two of each country who are not in it."""
    rng = Random(f"{SEED}/never")
    rows: list[_Row] = []
    for country, made in all_people:
        known = {person.national for person in made}
        strangers = [number for number in numbers(rng, country.mobiles, 2) if number not in known]
        meant = [person.national for person in made if person.kind == "suppressed"] + strangers
        rows += [(ABROAD[index % len(ABROAD)](country, number),) for index, number in enumerate(meant)]
    rng.shuffle(rows)
    _write_csv(path, "phone", rows)


def _code(rng: Random, length: int) -> str:
    """Return a code without the letters and digits that people mix up."""
    return "".join(rng.choices("ABCDEFGHJKMNPQRSTUVWXYZ23456789", k=length))


def _write_csv(path: Path, header: str, rows: Iterable[_Row]) -> None:
    with _opened(path) as file:
        file.write(header + "\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([str(v).lower() if isinstance(v, bool) else v for v in row] for row in rows)


def _write_parquet(path: Path, columns: dict[str, str], rows: Sequence[_Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    named = {"money": pa.decimal128(10, 2)}
    types = [named[kind] if kind in named else pa.type_for_alias(kind) for kind in columns.values()]
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, names=list(columns)), path, compression="zstd")


def _opened(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8", newline="")


def main() -> None:
    """Write the files under `--root`, by default the project this script is in."""
    parser = argparse.ArgumentParser(description="Write the data of the example campaigns again.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    make_all(root)
    print(f"wrote data/ and lists/ under {root}")


if __name__ == "__main__":
    main()
