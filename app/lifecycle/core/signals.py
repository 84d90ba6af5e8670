"""What a signal means: pure, and the only place that knows payloads.

`judge` says whether a signal can be taken; `effects` what it adds to `customer_day`, `customer_totals`, `account_day`
and `customer_fact`. All four are independent of the order of arrival: sums, minima and maxima, or last writer wins on
(occurred_at, source, source_event_id).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

ACTS = frozenset({
    "enquiry", "content_opened", "event_attended", "contact_in", "meeting_held", "trial_started", "account_opened",
    "onboarding_step", "login", "deposit", "withdrawal", "trade", "product_opened", "recurring_deposit_started",
    "recurring_deposit_cancelled", "complaint_opened", "risk_profile_completed", "portfolio_accepted",
    "survey_answered", "offer_redeemed",
})  # fmt: skip
"""Types that are an act of the customer: they count as activity."""

OTHERS = frozenset({
    "social_mention", "contact_out", "kyc_passed", "kyc_rejected", "balance", "product_closed", "transfer_out_started",
    "closure_requested", "account_closed", "complaint_resolved", "life_event", "signal_retracted",
})  # fmt: skip
RETRACTION = "signal_retracted"
"""Takes back an earlier signal of the same source and customer: `payload.source_event_id` names it."""

INTERNAL = frozenset({"profile_changed", "extension_granted", "review_missed"})
"""Types that only the service itself records, with the source `stagefolio`."""

OWN_SOURCE = "stagefolio"
KNOWN = ACTS | OTHERS
FUTURE = timedelta(minutes=5)
RETENTION = timedelta(days=5 * 366)
"""A signal older than that is refused, so that deduplication keys need not be kept for longer."""

_CUSTOM = re.compile(r"custom\.[a-z0-9_.]{1,60}")
_AMOUNT = re.compile(r"\d{1,10}(\.\d{1,4})?")
_SIGNED = re.compile(r"-?\d{1,10}(\.\d{1,4})?")

_SINCE = frozenset({"account_opened", "deposit", "product_opened"})
_MARKED = frozenset({
    "trial_started", "account_opened", "account_closed", "closure_requested", "transfer_out_started",
    "portfolio_accepted", "meeting_held", "enquiry", "offer_redeemed", "life_event", "extension_granted",
    "social_mention",
    "product_opened", "product_closed", "recurring_deposit_started", "recurring_deposit_cancelled",
})  # fmt: skip
_KEYED: Mapping[str, tuple[str, str, Any]] = {
    "account_opened": ("account", "account", True),
    "account_closed": ("account", "account", False),
    "product_opened": ("product", "product_id", True),
    "product_closed": ("product", "product_id", False),
    "recurring_deposit_started": ("recurring", "id", True),
    "recurring_deposit_cancelled": ("recurring", "id", False),
    "onboarding_step": ("onboarding", "step", True),
    "complaint_resolved": ("complaint", "complaint_id", None),
    "review_missed": ("review", "id", True),
}
"""Types that set one of many: prefix of the fact, the field of the payload that names it, the value it gets."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "deposit": ("amount",),
    "withdrawal": ("amount",),
    "balance": ("account", "balance"),
    "account_closed": ("account",),
    "product_opened": ("product_id",),
    "product_closed": ("product_id",),
    "onboarding_step": ("step",),
    "complaint_opened": ("complaint_id",),
    "complaint_resolved": ("complaint_id",),
    "survey_answered": ("survey", "score"),
    RETRACTION: ("source_event_id",),
}
_NAMES = {"account": 100, "product_id": 100, "complaint_id": 100, "step": 100, "id": 100, "source_event_id": 120}
SEVERITIES = ("low", "medium", "severe")
_SURVEYS = ("nps", "csat", "ces")


def unsettles(kind: str, payload: Mapping[str, Any]) -> bool:
    """Whether a signal puts the last step in doubt whenever it occurred: a retraction, or a change of holds, since what
    came under a hold has not been looked at yet."""
    return kind == RETRACTION or (kind == "profile_changed" and "holds" in payload)


class Effects(NamedTuple):
    """What one signal adds. Amounts in ten-thousandths of the institution's currency: whole numbers add up exactly.

    `marks`: facts set by the last signal, name -> JSON value. `profile`: columns of the customer that follow.
    """

    inflow: int = 0
    outflow: int = 0
    trades: int = 0
    logins: int = 0
    activity: int = 0
    since: bool = False
    account: str | None = None
    balance: int | None = None
    marks: Mapping[str, Any] = MappingProxyType({})
    profile: Mapping[str, Any] = MappingProxyType({})


def judge(kind: str, payload: Mapping[str, Any], occurred_at: datetime, now: datetime) -> tuple[str, str] | None:
    """None if the signal can be taken, else (code, reason that names the field)."""
    if kind not in KNOWN and not _CUSTOM.fullmatch(kind):
        return "unknown_type", "type: not a known type, nor custom.<name>"
    if occurred_at > now + FUTURE:
        return "in_the_future", "occurred_at: more than 5 minutes in the future"
    if occurred_at < now - RETENTION:
        return "too_old", f"occurred_at: more than {RETENTION.days} days ago"
    return _judge_payload(kind, payload)


def _judge_payload(kind: str, payload: Mapping[str, Any]) -> tuple[str, str] | None:
    if kind not in KNOWN:
        return None  # a custom type means nothing here, so its payload is the sender's own
    for name in _NEEDED.get(kind, ()):
        if payload.get(name) is None:
            return "missing", f"payload.{name}: is required for {kind}"
    for name in ("amount", "balance", "balance_after"):
        pattern, what = (_AMOUNT, "a decimal, zero or more,") if name == "amount" else (_SIGNED, "a decimal")
        value = payload.get(name)
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            return "not_an_amount", f"payload.{name}: must be {what} as a string, at most four decimals"
    for name, longest in _NAMES.items():
        value = payload.get(name)
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= longest):
            return "not_a_name", f"payload.{name}: must be a text of 1 to {longest} characters"
    return _judge_answer(kind, payload)


def _judge_answer(kind: str, payload: Mapping[str, Any]) -> tuple[str, str] | None:
    if kind == "survey_answered" and not (
        payload["survey"] in _SURVEYS and type(payload["score"]) is int and 0 <= payload["score"] <= 10
    ):
        return "not_a_score", "payload.survey: nps, csat or ces; payload.score: a whole number from 0 to 10"
    if kind == "complaint_opened" and payload.get("severity") not in (None, *SEVERITIES):
        return "not_a_severity", "payload.severity: must be low, medium or severe"
    if kind == "risk_profile_completed" and not _is_time(payload.get("valid_until")):
        return "not_a_time", "payload.valid_until: must be a time such as 2027-01-31T00:00:00Z"
    return None


def _is_time(value: Any) -> bool:
    try:
        return value is None or _aware(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _aware(text: str) -> bool:
    moment = datetime.fromisoformat(text)
    return moment.tzinfo is not None and moment.astimezone(UTC).year > 1900


def effects(kind: str, payload: Mapping[str, Any], occurred_at: datetime) -> Effects:
    """What an accepted signal adds.

    System postings (`system: true`: interest, fees) move balances and nothing else. They never stop, so as activity
    they would hide every silence, and as flows every market fall or fee would look like a decision of the customer.
    """
    if kind not in KNOWN | INTERNAL:
        return Effects()
    balance = payload.get("balance") or payload.get("balance_after")
    account = payload.get("account") or ("main" if balance is not None else None)
    if kind == "account_closed":
        balance = "0"
    held = _ten_thousandths(balance) if balance is not None else None
    if payload.get("system") is True:
        return Effects(account=account, balance=held)
    amount = _ten_thousandths(payload.get("amount") or "0")
    return Effects(
        inflow=amount if kind == "deposit" else 0,
        outflow=amount if kind == "withdrawal" else 0,
        trades=int(kind == "trade"),
        logins=int(kind == "login"),
        activity=int(kind in ACTS),
        since=kind in _SINCE,
        account=account,
        balance=held,
        marks=_marks(kind, payload, occurred_at),
        profile=_profile(kind, payload, occurred_at),
    )


def _ten_thousandths(amount: str) -> int:
    whole, _, part = amount.partition(".")
    return int(whole + part.ljust(4, "0"))


def _marks(kind: str, payload: Mapping[str, Any], occurred_at: datetime) -> dict[str, Any]:
    if kind == "profile_changed":
        return dict(payload)
    found = _details(kind, payload, occurred_at)
    if kind in _MARKED:
        found[kind] = payload.get("until") if kind == "extension_granted" else True
    if kind in _KEYED:
        prefix, field_name, value = _KEYED[kind]
        name = payload.get(field_name) or (occurred_at.date().isoformat() if kind == "review_missed" else "main")
        found[f"{prefix}:{name}"] = value
    return found


def _details(kind: str, payload: Mapping[str, Any], occurred_at: datetime) -> dict[str, Any]:
    """Marks that depend on what the payload says."""
    topic = payload.get("topic")
    match kind:
        case "kyc_passed" | "kyc_rejected":
            return {"kyc_status": kind.removeprefix("kyc_")}
        case "complaint_opened":
            return {f"complaint:{payload['complaint_id']}": payload.get("severity") or "medium"}
        case "survey_answered":
            return {payload["survey"]: payload["score"]}
        case "contact_in" | "contact_out" if topic == "meeting_booked":
            return {"meeting_booked": True}
        case "contact_in" if topic in ("fee", "transfer"):
            return {"fee_enquiry": True}
        case "deposit" if payload.get("kind") == "salary":
            return {"salary": True}
        case "risk_profile_completed":
            return {"suitability_until": _valid_until(payload, occurred_at).isoformat()}
    return {}


def _valid_until(payload: Mapping[str, Any], occurred_at: datetime) -> datetime:
    """A profile is valid for twelve months unless its signal says otherwise."""
    until = payload.get("valid_until")
    return datetime.fromisoformat(until) if until else occurred_at + timedelta(days=365)


def _profile(kind: str, payload: Mapping[str, Any], occurred_at: datetime) -> dict[str, Any]:
    match kind:
        case "kyc_passed" | "kyc_rejected":
            return {"kyc_status": kind.removeprefix("kyc_")}
        case "risk_profile_completed":
            return {"suitability_until": _valid_until(payload, occurred_at)}
    return {}
