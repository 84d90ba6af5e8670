"""The files of the Berka bank as typed rows: one CSV file a table, compressed with gzip, comma-separated, UTF-8.

Dates are YYMMDD in most files (cards add an empty time, ` 00:00:00`) and YYYY-MM-DD in the postings; every year is
19YY. A client's birth number is YYMMDD with 50 added to the month for women. Amounts are Czech crowns.
The postings write the number of a partner's account as a decimal, with `.0` at its end. Whatever does
not fit stops the reading with a `BerkaError` that names the file, the row and the column.
"""

import csv
import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn, TypeVar

T = TypeVar("T")
CREDIT, DEBITS = "PRIJEM", ("VYDAJ", "VYBER")
OWNER, DISPONENT = "OWNER", "DISPONENT"
INTEREST, FEE, PENALTY = "UROK", "SLUZBY", "SANKC. UROK"


class BerkaError(ValueError):
    """A file is missing, or something in it is not what the format says."""


@dataclass(frozen=True, slots=True)
class Client:
    id: str
    birth_on: date
    female: bool
    district: str


@dataclass(frozen=True, slots=True)
class Disposition:
    """Who may use an account: its one owner, or somebody whom the owner allows to (a disponent)."""

    id: str
    client: str
    account: str
    owner: bool


@dataclass(frozen=True, slots=True)
class Dated:
    """An account, a loan or a card: `belongs_to` is a district, an account or a disposition."""

    id: str
    belongs_to: str
    on: date


@dataclass(frozen=True, slots=True)
class Order:
    """A standing order for outgoing payments; the bank kept no date for it."""

    id: str
    account: str
    bank_to: str
    account_to: str


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount` is positive, `credit` gives its direction, `balance` is the account's balance after it."""

    id: str
    account: str
    on: date
    credit: bool
    amount: Decimal
    balance: Decimal
    operation: str
    symbol: str
    bank: str
    partner: str

    @property
    def before(self) -> Decimal:
        """The balance before it."""
        return self.balance - self.amount if self.credit else self.balance + self.amount


class Row:
    """One line, read column by column."""

    __slots__ = ("_line", "_name", "_values")

    def __init__(self, name: str, line: int, values: dict[str, str]) -> None:
        self._name, self._line, self._values = name, line, values

    def text(self, column: str) -> str:
        """May be empty; a lone blank, which some rows hold for nothing, is empty too."""
        return self._values[column].strip()

    def key(self, column: str) -> str:
        """Never empty."""
        return self.text(column) or self._refuse(column, "is empty")

    def one_of(self, column: str, allowed: tuple[str, ...]) -> str:
        """A word of a fixed list."""
        value = self.text(column)
        return value if value in allowed else self._refuse(column, f"is {value!r}, not one of {', '.join(allowed)}")

    def money(self, column: str) -> Decimal:
        """A finite decimal number."""
        value = self.text(column)
        try:
            amount = Decimal(value)
        except InvalidOperation:
            self._refuse(column, f"is {value!r}, not a number")
        return amount if amount.is_finite() else self._refuse(column, f"is {value!r}, not a number")

    def positive(self, column: str) -> Decimal:
        """An amount above zero."""
        amount = self.money(column)
        return amount if amount > 0 else self._refuse(column, f"is {amount}, not above zero")

    def day(self, column: str) -> date:
        """YYMMDD or YYYY-MM-DD, with or without an empty time."""
        digits = self.text(column).removesuffix(" 00:00:00").replace("-", "")
        return self._date(column, digits if len(digits) == 8 else f"19{digits}")

    def birth(self, column: str) -> tuple[date, bool]:
        """The birth date, and whether the client is a woman."""
        digits = self.text(column)
        month = int(digits[2:4]) if len(digits) == 6 and digits.isdecimal() else 0
        female = month > 50
        return self._date(column, f"19{digits[:2]}{month - 50 if female else month:02d}{digits[4:]}"), female

    def _date(self, column: str, digits: str) -> date:
        if len(digits) == 8 and digits.isascii() and digits.isdecimal():
            with suppress(ValueError):
                return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        return self._refuse(column, f"is {self._values[column]!r}, not a date")

    def _refuse(self, column: str, reason: str) -> NoReturn:
        raise BerkaError(f"{self._name}, line {self._line}: column {column} {reason}")


@dataclass(frozen=True, slots=True)
class Tables:
    """All files of one folder, in the order of their lines."""

    clients: list[Client]
    dispositions: list[Disposition]
    accounts: list[Dated]
    orders: list[Order]
    loans: list[Dated]
    cards: list[Dated]
    postings: list[Posting]


def read_tables(folder: Path) -> Tables:
    """Read the seven files of a folder; `BerkaError` for a missing file, a missing column or a bad value."""
    return Tables(
        clients=_table(folder, "berka_client", ("client_id", "birth_number", "district_id"), _client),
        dispositions=_table(folder, "berka_disp", ("disp_id", "client_id", "account_id", "type"), _disposition),
        accounts=_table(
            folder, "berka_account", ("account_id", "district_id", "date"), _dated("account_id", "district_id")
        ),
        orders=_table(folder, "berka_order", ("order_id", "account_id", "bank_to", "account_to"), _order),
        loans=_table(folder, "berka_loan", ("loan_id", "account_id", "date"), _dated("loan_id", "account_id")),
        cards=_table(folder, "berka_card", ("card_id", "disp_id", "issued"), _dated("card_id", "disp_id", "issued")),
        postings=_table(folder, "berka_trans", POSTING_COLUMNS, _posting),
    )


def _table(folder: Path, stem: str, columns: tuple[str, ...], build: Callable[[Row], T]) -> list[T]:
    """The one file whose name begins with the stem (postings carry their period in the name)."""
    found = sorted(folder.glob(f"{stem}*.csv.gz"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        raise BerkaError(
            f"{stem}*.csv.gz: " + (f"more than one file in {folder}: {names}" if found else f"no such file in {folder}")
        )
    try:
        return [build(row) for row in _rows(found[0], columns)]
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise BerkaError(f"{found[0].name}: not a whole gzip file of UTF-8 text ({error})") from error


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise BerkaError(f"{path.name}: column {missing[0]} is missing; found {', '.join(reader.fieldnames or ())}")
        for values in reader:
            short = [column for column in columns if values[column] is None]
            if short:
                raise BerkaError(
                    f"{path.name}, line {reader.line_num}: column {short[0]} is missing: the line is cut short"
                )
            yield Row(path.name, reader.line_num, values)


def _client(row: Row) -> Client:
    birth_on, female = row.birth("birth_number")
    return Client(row.key("client_id"), birth_on, female, row.key("district_id"))


def _disposition(row: Row) -> Disposition:
    owner = row.one_of("type", (OWNER, DISPONENT)) == OWNER
    return Disposition(row.key("disp_id"), row.key("client_id"), row.key("account_id"), owner)


def _dated(key: str, belongs_to: str, on: str = "date") -> Callable[[Row], Dated]:
    return lambda row: Dated(row.key(key), row.key(belongs_to), row.day(on))


def _order(row: Row) -> Order:
    return Order(row.key("order_id"), row.key("account_id"), row.text("bank_to"), row.text("account_to"))


POSTING_COLUMNS = (
    "trans_id",
    "account_id",
    "date",
    "type",
    "operation",
    "amount",
    "balance",
    "k_symbol",
    "bank",
    "account",
)


def _posting(row: Row) -> Posting:
    return Posting(
        id=row.key("trans_id"),
        account=row.key("account_id"),
        on=row.day("date"),
        credit=row.one_of("type", (CREDIT, *DEBITS)) == CREDIT,
        amount=row.positive("amount"),
        balance=row.money("balance"),
        operation=row.text("operation"),
        symbol=row.text("k_symbol"),
        bank=row.text("bank"),
        partner=row.text("account").removesuffix(".0"),
    )
