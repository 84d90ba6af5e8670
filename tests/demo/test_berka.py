"""The Berka reader, on files written here in the bank's format, and on the real ones where they are."""

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest

from app.demo.berka import Berka, read_berka
from app.demo.berka_tables import BerkaError

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "berka"

CLIENT, DISP, ACCOUNT = "berka_client", "berka_disp", "berka_account"
TRANS, ORDER, LOAN, CARD = "berka_trans_1993", "berka_order", "berka_loan", "berka_card"
FILES: dict[str, str] = {
    CLIENT: """client_id,birth_number,district_id
1,706213,18
2,450204,1
3,405209,1
4,561201,5
""",
    DISP: """disp_id,client_id,account_id,type
11,1,100,OWNER
12,2,100,DISPONENT
13,3,200,OWNER
14,4,300,OWNER
""",
    ACCOUNT: """account_id,district_id,frequency,date
100,18,POPLATEK MESICNE,930101
200,1,POPLATEK TYDNE,930705
300,5,POPLATEK MESICNE,940501
""",
    TRANS: """trans_id,account_id,date,type,operation,amount,balance,k_symbol,bank,account
1,100,1993-01-01,PRIJEM,VKLAD,1000.0,1000.0,,,
7,100,1993-01-31,VYDAJ,VYBER,14.6,1090.3,SLUZBY,,
9,100,1993-01-31,PRIJEM,,4.9,1104.9,UROK,,
8,100,1993-01-31,PRIJEM,PREVOD Z UCTU,500.0,1500.0,DUCHOD,YZ,62457513.0
3,100,1993-01-31,VYDAJ,PREVOD NA UCET,395.1,1104.9, ,WX,56978738.0
2,200,1993-07-05,PRIJEM,PREVOD Z UCTU,800.0,800.0,,IJ,6149286.0
4,200,1993-08-10,VYBER,VYBER,900.0,-100.0,,,
5,200,1993-08-31,VYDAJ,VYBER,2.5,-102.5,SANKC. UROK,,
6,200,1993-09-02,VYDAJ,PREVOD NA UCET,50.0,-152.5,,AB,99.0
""",
    ORDER: """order_id,account_id,bank_to,account_to,amount,k_symbol
501,100,WX,56978738,395.1,SIPO
502,300,WX,1,10.0,
""",
    LOAN: """loan_id,account_id,date,amount,duration,payments,status
601,200,930711,165960,36,4610.0,A
602,200,970711,1000,12,100.0,C
""",
    CARD: """card_id,disp_id,type,issued
701,11,classic,930120 00:00:00
702,13,gold,981107 00:00:00
""",
}

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_files(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        return tmp_path

    return write_files


@pytest.fixture
def small(write: Write) -> Berka:
    return read_berka(write(FILES))


def test_clients_carry_what_is_known_and_nothing_else(small: Berka) -> None:
    first, second, third, fourth = small.clients
    assert [first.external_id, first.full_name, first.country, first.time_zone] == [
        "berka-1",
        "Client 1",
        "CZ",
        "Europe/Prague",
    ]
    assert first.birth_on == date(1970, 12, 13)
    assert first.tags == ["female", "owner", "district-18"]
    assert second.tags == ["male", "disponent", "district-1"]
    assert third.birth_on == date(1940, 2, 9)
    assert [one.created_on for one in small.clients] == [
        date(1993, 1, 1),
        date(1993, 1, 1),
        date(1993, 7, 5),
        date(1993, 1, 1),
    ]
    assert [fourth.email, fourth.phone, fourth.owner, fourth.answers, fourth.consents] == [None, None, None, None, []]
    assert {one.kyc_status for one in small.clients} == {"passed"}


def test_on_a_joint_account_the_signal_belongs_to_the_owner(small: Berka) -> None:
    assert {signal.external_id for signal in small.signals} == {"berka-1", "berka-3"}


def test_interest_fees_and_penalty_interest_are_system_postings(small: Berka) -> None:
    system = {signal.source_event_id: signal.type for signal in small.signals if signal.payload.get("system")}
    assert system == {"trans-7": "withdrawal", "trans-9": "deposit", "trans-5": "withdrawal"}
    assert all("kind" not in signal.payload for signal in small.signals if signal.payload.get("system"))


def test_postings_say_what_kind_of_money_moved(small: Berka) -> None:
    kinds = {one.source_event_id: one.payload["kind"] for one in small.signals if "kind" in one.payload}
    assert kinds == {
        "trans-1": "cash",
        "trans-8": "salary",
        "trans-3": "standing_order",
        "trans-2": "transfer",
        "trans-4": "cash",
        "trans-6": "transfer",
    }
    deposit = next(one for one in small.signals if one.source_event_id == "trans-8")
    assert deposit.payload == {"amount": "500.00", "account": "100", "balance_after": "1500.00", "kind": "salary"}


def test_postings_of_a_day_follow_their_balances_whatever_their_numbers_and_their_order_in_the_file(
    write: Write,
) -> None:
    head, *lines = FILES[TRANS].splitlines()
    for day in permutations(lines[1:5]):
        text = "\n".join([head, lines[0], *day, *lines[5:]]) + "\n"
        result = read_berka(write({**FILES, TRANS: text}))
        own = [one for one in result.signals if one.payload.get("account") == "100" and one.occurred_at.month == 1]
        moved = [one for one in own if one.occurred_at.day == 31]
        assert [one.source_event_id for one in moved] == ["trans-8", "trans-3", "trans-7", "trans-9"]


def test_a_chain_that_breaks_is_counted_and_keeps_every_posting(write: Write) -> None:
    broken = read_berka(write({**FILES, TRANS: FILES[TRANS].replace("1000.0,1000.0", "1000.0,1300.0")}))
    assert broken.counts["unchained_days"] == 2
    assert broken.counts["postings"] == sum(one.source_event_id.startswith("trans-") for one in broken.signals) == 9


def test_dates_become_moments_in_prague_local_time(small: Berka) -> None:
    times = {signal.source_event_id: signal.occurred_at for signal in small.signals}
    assert times["opened-account-100"] == datetime(1993, 1, 1, 7, 0, tzinfo=UTC)
    assert times["opened-account-200"] == datetime(1993, 7, 5, 6, 0, tzinfo=UTC)  # summer time
    assert times["product-card-701"] == datetime(1993, 1, 20, 9, 0, tzinfo=UTC)
    assert times["trans-1"] == datetime(1993, 1, 1, 11, 0, tzinfo=UTC)
    assert [one.occurred_at for one in small.signals] == sorted(times.values())


def test_standing_orders_loans_cards_and_accounts_are_products(small: Berka) -> None:
    products = {
        one.payload["product_id"]: one.payload["product_type"] for one in small.signals if one.type == "product_opened"
    }
    assert products == {
        "account-100": "account",
        "account-200": "account",
        "order-501": "standing_order",
        "loan-601": "loan",
        "card-701": "card",
    }


def test_until_takes_in_what_came_later_and_cuts_what_had_not_happened(write: Write) -> None:
    folder = write(FILES)
    late, early = read_berka(folder, until=date(1998, 12, 31)), read_berka(folder, until=date(1993, 1, 31))
    assert {"product-loan-602", "product-card-702", "opened-account-300"} <= {
        one.source_event_id for one in late.signals
    }
    assert late.clients[3].created_on == date(1994, 5, 1)
    assert early.counts["postings_until"] == 5
    assert max(one.occurred_at.date() for one in early.signals) == date(1993, 1, 31)
    assert early.counts["postings"] == late.counts["postings"] == 9


@pytest.mark.parametrize("name", list(FILES))
def test_a_missing_file_is_named(write: Write, name: str) -> None:
    folder = write({other: text for other, text in FILES.items() if other != name})
    with pytest.raises(BerkaError, match=rf"{name.removesuffix('_1993')}\*\.csv\.gz: no such file"):
        read_berka(folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (CLIENT, "birth_number", "born", r"berka_client\.csv\.gz: column birth_number is missing"),
        (CLIENT, "706213", "709913", r"berka_client\.csv\.gz, line 2: column birth_number is '709913', not a date"),
        (CLIENT, "706213", "x", r"line 2: column birth_number is 'x', not a date"),
        (CLIENT, "\n1,", "\n,", r"line 2: column client_id is empty"),
        (TRANS, "k_symbol", "symbol", r"berka_trans_1993\.csv\.gz: column k_symbol is missing"),
        (TRANS, "PRIJEM,VKLAD", "GIFT,VKLAD", r"line 2: column type is 'GIFT', not one of PRIJEM"),
        (TRANS, "1000.0,1000.0", "many,1000.0", r"line 2: column amount is 'many', not a number"),
        (TRANS, "1000.0,1000.0", "NaN,1000.0", r"line 2: column amount is 'NaN', not a number"),
        (TRANS, "1000.0,1000.0", "-5,1000.0", r"line 2: column amount is -5, not above zero"),
        (TRANS, "1993-01-01", "1993-02-30", r"line 2: column date is '1993-02-30', not a date"),
        (TRANS, "1,100,1993", "1,999,1993", r"berka_trans.*account_id: 999 is unknown"),
        (TRANS, "SANKC. UROK,,", "SANKC. UROK", r"line 9: column bank is missing: the line is cut short"),
        (DISP, "13,3,200,OWNER", "13,3,200,DISPONENT", r"account_id: 200 is an account without an owner"),
        (DISP, "11,1,100", "11,9,100", r"berka_disp.*client_id: 9 is unknown"),
        (CARD, "702,13", "702,99", r"berka_card.*disp_id: 99 is unknown"),
    ],
)
def test_what_does_not_fit_is_named_by_file_line_and_column(
    write: Write, name: str, old: str, new: str, message: str
) -> None:
    assert old in FILES[name]
    with pytest.raises(BerkaError, match=message):
        read_berka(write({**FILES, name: FILES[name].replace(old, new, 1)}))


def test_a_file_that_is_not_gzip_or_there_twice_is_refused(write: Write) -> None:
    folder = write(FILES)
    (folder / "berka_trans_1994.csv.gz").write_bytes(b"plain text")
    with pytest.raises(BerkaError, match="more than one file"):
        read_berka(folder)
    (folder / f"{TRANS}.csv.gz").unlink()
    with pytest.raises(BerkaError, match=r"berka_trans_1994\.csv\.gz: not a whole gzip file"):
        read_berka(folder)


def test_without_postings_there_is_no_period_to_read(write: Write) -> None:
    with pytest.raises(BerkaError, match="at least one row"):
        read_berka(write({**FILES, TRANS: FILES[TRANS].splitlines()[0] + "\n"}))


@pytest.mark.evidence
def test_the_real_files_are_read_whole() -> None:
    if not REAL.is_dir():
        pytest.skip(f"the Berka files are missing: no folder {REAL}")
    rows = {}
    for path in REAL.glob("*.csv.gz"):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            rows[path.name.split("_")[1].split(".")[0]] = list(csv.DictReader(lines))
    result = read_berka(REAL)
    tables = {
        "clients": "client",
        "accounts": "account",
        "postings": "trans",
        "orders": "order",
        "loans": "loan",
        "cards": "card",
    }
    assert {name: result.counts[name] for name in tables} == {name: len(rows[table]) for name, table in tables.items()}
    system = [row for row in rows["trans"] if row["k_symbol"] in {"UROK", "SLUZBY", "SANKC. UROK"}]
    assert result.counts["system_postings"] == len(system) == sum("system" in one.payload for one in result.signals)
    types = Counter(one.type for one in result.signals)
    assert types["deposit"] + types["withdrawal"] == len(rows["trans"])
    net = sum(Decimal(row["amount"]) * (1 if row["type"] == "PRIJEM" else -1) for row in rows["trans"])
    signs = {"deposit": 1, "withdrawal": -1}
    assert net == sum(Decimal(one.payload["amount"]) * signs[one.type] for one in result.signals if one.type in signs)
    assert types["account_opened"] == len({row["account_id"] for row in rows["trans"]})
    assert result.counts["unchained_days"] < 40  # of some 40,000
