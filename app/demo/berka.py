"""A real bank: the accounts and postings of the Berka data set (PKDD'99 Discovery Challenge), as customers and signals.

What becomes what:

* A client becomes a customer, "Client 123" (there are no names), of segment mass and tier C, for nothing in the data
  says more. Identification counts as passed. Known since the opening of the account that they own or may use; with no
  such account up to `until`, since the first day of the data. Tags: sex, `owner` or `disponent`, district.
* An account becomes `account_opened` and a product. All its signals belong to its owner, also on a joint account.
* A posting becomes a deposit or a withdrawal with `balance_after`. Interest, fees and penalty interest are `system`:
  never activity, never flow. `kind`: a pension is a regular income, `salary`; a payment to the partner of one of the
  account's standing orders is `standing_order`; other transfers are `transfer`, everything at the counter or the
  machine is `cash`. Salaries are not marked in the data: they are among the incoming transfers.
* A loan or card is a product, opened on its date. A standing order is an outgoing payment, no saving plan, and has no
  date: it is a product of type `standing_order`, opened with the account, which may be too early.
* How a loan ended and what happens after `until` are left out: they were not known then.

Dates have no time of day. In the local time of Prague, accounts open at 08:00 (their product and standing orders a
minute later), loans and cards start at 10:00, and the postings of one account and day follow from 12:00, a second
apart, in the order in which their balances chain: each begins with the balance that the former left. So the last one of
a day carries the closing balance. Where they do not chain (`unchained_days`), the nearest balance comes next.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from app.demo.berka_tables import FEE, INTEREST, PENALTY, BerkaError, Client, Disposition, Posting, Tables, read_tables
from app.demo.shapes import DemoCustomer, DemoSignal

SOURCE = "berka"
ZONE = ZoneInfo("Europe/Prague")
OPENING, STARTING, POSTING = time(8), time(10), time(12)
SYSTEM = {INTEREST, FEE, PENALTY}
PENSION = "DUCHOD"
TRANSFERS = {"PREVOD NA UCET", "PREVOD Z UCTU"}
CENT = Decimal("0.01")
LONGEST_SEARCH = 8  # postings a day: beyond it only the nearest balance is followed
ROUNDING = Decimal("0.15")  # amounts and balances are rounded to a tenth, each on its own


@dataclass(frozen=True, slots=True)
class Berka:
    """Clients in the order of the file, signals by `occurred_at` and `source_event_id`, and what was counted.

    `counts`: rows of the files (`clients`, `owners`, `disponents`, `accounts`, `orders`, `loans`, `cards`, `postings`,
    `system_postings`), the same up to `until` (`..._until`), and `unchained_days`.
    """

    clients: list[DemoCustomer]
    signals: list[DemoSignal]
    counts: dict[str, int]


def read_berka(folder: Path, until: date | None = None) -> Berka:
    """Read the seven files of a folder; keep what had happened by the end of `until` (default: the last posting's day).

    `BerkaError` names the file and, where it can, the line and the column: a file or column is missing, a value is not
    what the format says, or a row points to a client, account or card holder that does not exist.
    """
    tables = read_tables(folder)
    if not tables.postings or not tables.accounts:
        raise BerkaError("berka_trans*.csv.gz and berka_account*.csv.gz must have at least one row each")
    until = until or max(posting.on for posting in tables.postings)
    _check_references(tables)
    owner_of = {held.account: held.client for held in tables.dispositions if held.owner}
    postings, unchained = _in_order([posting for posting in tables.postings if posting.on <= until])
    signals = [*_products(tables, owner_of, until), *_postings(tables, postings, owner_of)]
    signals.sort(key=lambda signal: (signal.occurred_at, signal.source_event_id))
    return Berka(_customers(tables, until), signals, {**_counts(tables, until), "unchained_days": unchained})


def _check_references(tables: Tables) -> None:
    clients, accounts = {client.id for client in tables.clients}, {account.id for account in tables.accounts}
    owned = {held.account for held in tables.dispositions if held.owner}
    holders = {held.id for held in tables.dispositions}
    checks = (
        ("berka_disp", "client_id", (held.client for held in tables.dispositions), clients),
        ("berka_disp", "account_id", (held.account for held in tables.dispositions), accounts),
        ("berka_account", "account_id", iter(accounts), owned),
        ("berka_order", "account_id", (order.account for order in tables.orders), accounts),
        ("berka_loan", "account_id", (loan.belongs_to for loan in tables.loans), accounts),
        ("berka_card", "disp_id", (card.belongs_to for card in tables.cards), holders),
        ("berka_trans", "account_id", (posting.account for posting in tables.postings), accounts),
    )
    for name, column, values, known in checks:
        unknown = next((value for value in values if value not in known), None)
        if unknown is not None:
            what = "an account without an owner" if known is owned else "unknown"
            raise BerkaError(f"{name}*.csv.gz: column {column}: {unknown} is {what}")


def _customers(tables: Tables, until: date) -> list[DemoCustomer]:
    """One customer a client."""
    opened = {account.id: account.on for account in tables.accounts}
    start = min(opened.values())
    held: dict[str, list[Disposition]] = defaultdict(list)
    for disposition in tables.dispositions:
        held[disposition.client].append(disposition)
    result = []
    for client in tables.clients:
        days = [opened[disposition.account] for disposition in held[client.id]]
        result.append(_customer(client, held[client.id], min((day for day in days if day <= until), default=start)))
    return result


def _customer(client: Client, held: list[Disposition], created_on: date) -> DemoCustomer:
    roles = ["owner"] if any(one.owner for one in held) else ["disponent"] if held else []
    return DemoCustomer(
        external_id=f"berka-{client.id}",
        kind="individual",
        full_name=f"Client {client.id}",
        email=None,
        phone=None,
        birth_on=client.birth_on,
        segment="mass",
        tier="C",
        country="CZ",
        language="en",
        time_zone=str(ZONE),
        owner=None,
        tags=["female" if client.female else "male", *roles, f"district-{client.district}"],
        consents=[],
        kyc_status="passed",
        created_on=created_on,
    )


@cache
def _moment(day: date, at: time) -> datetime:
    """A local time in Prague, in UTC."""
    return datetime.combine(day, at, ZONE).astimezone(UTC)


def _products(tables: Tables, owner_of: dict[str, str], until: date) -> list[DemoSignal]:
    """Accounts, and what was opened with or for them."""
    result: list[DemoSignal] = []

    def add(name: str, client: str, at: datetime, product: str | None) -> None:
        key = (
            {"account": name.removeprefix("account-")}
            if product is None
            else {"product_id": name, "product_type": product}
        )
        kind, event = ("account_opened", f"opened-{name}") if product is None else ("product_opened", f"product-{name}")
        result.append(DemoSignal(SOURCE, event, kind, f"berka-{client}", at, key))

    opened = {account.id: account.on for account in tables.accounts if account.on <= until}
    for account, on in opened.items():
        add(f"account-{account}", owner_of[account], _moment(on, OPENING), None)
        add(f"account-{account}", owner_of[account], _moment(on, OPENING) + timedelta(minutes=1), "account")
    for order in tables.orders:
        if order.account in opened:
            at = _moment(opened[order.account], OPENING) + timedelta(minutes=1)
            add(f"order-{order.id}", owner_of[order.account], at, "standing_order")
    for loan in tables.loans:
        if loan.on <= until:
            add(f"loan-{loan.id}", owner_of[loan.belongs_to], _moment(loan.on, STARTING), "loan")
    holders = {held.id: owner_of[held.account] for held in tables.dispositions}
    for card in tables.cards:
        if card.on <= until:
            add(f"card-{card.id}", holders[card.belongs_to], _moment(card.on, STARTING), "card")
    return result


def _postings(tables: Tables, postings: list[tuple[int, Posting]], owner_of: dict[str, str]) -> list[DemoSignal]:
    """Each posting with its place within the day as a time."""
    partners = {(order.account, order.bank_to, order.account_to) for order in tables.orders}
    result = []
    for place, posting in postings:
        payload = {
            "amount": str(posting.amount.quantize(CENT)),
            "account": posting.account,
            "balance_after": str(posting.balance.quantize(CENT)),
            **({"system": True} if posting.symbol in SYSTEM else {"kind": _kind(posting, partners)}),
        }
        result.append(
            DemoSignal(
                source=SOURCE,
                source_event_id=f"trans-{posting.id}",
                type="deposit" if posting.credit else "withdrawal",
                external_id=f"berka-{owner_of[posting.account]}",
                occurred_at=_moment(posting.on, POSTING) + timedelta(seconds=place),
                payload=payload,
            )
        )
    return result


def _kind(posting: Posting, partners: set[tuple[str, str, str]]) -> str:
    if posting.symbol == PENSION:
        return "salary"
    if not posting.credit and (posting.account, posting.bank, posting.partner) in partners:
        return "standing_order"
    return "transfer" if posting.operation in TRANSFERS else "cash"


def _in_order(postings: list[Posting]) -> tuple[list[tuple[int, Posting]], int]:
    """The postings with their place within the account's day, and on how many such days the balances do not chain."""
    days: dict[tuple[str, date], list[Posting]] = defaultdict(list)
    for posting in postings:
        days[posting.account, posting.on].append(posting)
    balance: dict[str, Decimal] = defaultdict(Decimal)
    result: list[tuple[int, Posting]] = []
    unchained = 0
    for (account, _), rows in sorted(days.items(), key=lambda item: item[0]):
        chain = _chain(balance[account], rows) if len(rows) <= LONGEST_SEARCH else None
        if chain is None:
            unchained += 1
            chain = _nearest(balance[account], rows)
        balance[account] = chain[-1].balance
        result.extend(enumerate(chain))
    return result, unchained


def _chain(balance: Decimal, rows: list[Posting]) -> list[Posting] | None:
    """An order in which each posting begins where the former ended, lowest number first; None if there is none."""
    if not rows:
        return []
    for row in sorted(rows, key=lambda row: int(row.id) if row.id.isdecimal() else 0):
        if abs(row.before - balance) <= ROUNDING:
            rest = _chain(row.balance, [other for other in rows if other is not row])
            if rest is not None:
                return [row, *rest]
    return None


def _nearest(balance: Decimal, rows: list[Posting]) -> list[Posting]:
    """Always the posting that begins nearest to where the former ended."""
    left, result = list(rows), []
    while left:
        row = min(left, key=lambda row: (abs(row.before - balance), row.id))
        left.remove(row)
        result.append(row)
        balance = row.balance
    return result


def _counts(tables: Tables, until: date) -> dict[str, int]:
    opened = {account.id for account in tables.accounts if account.on <= until}
    postings = [posting for posting in tables.postings if posting.on <= until]
    return {
        "clients": len(tables.clients),
        "owners": sum(held.owner for held in tables.dispositions),
        "disponents": sum(not held.owner for held in tables.dispositions),
        "accounts": len(tables.accounts),
        "orders": len(tables.orders),
        "loans": len(tables.loans),
        "cards": len(tables.cards),
        "postings": len(tables.postings),
        "system_postings": sum(posting.symbol in SYSTEM for posting in tables.postings),
        "accounts_until": len(opened),
        "orders_until": sum(order.account in opened for order in tables.orders),
        "loans_until": sum(loan.on <= until for loan in tables.loans),
        "cards_until": sum(card.on <= until for card in tables.cards),
        "postings_until": len(postings),
        "system_postings_until": sum(posting.symbol in SYSTEM for posting in postings),
    }
