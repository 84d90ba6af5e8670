"""A policy that moves customers soon and often, with every trait that a rule can have: for random lives that are short."""

from typing import Any


def _is(fact: str, op: str, value: Any) -> dict[str, Any]:
    return {"fact": fact, "op": op, "value": value}


def _rule(name: str, sources: str, to: str, priority: int, when: dict[str, Any], **traits: Any) -> dict[str, Any]:
    return {"id": name, "from": sources.split(), "to": to, "priority": priority, "when": when, **traits}


_FREE = {"all": [_is("kyc_status", "!=", "rejected"), _is("on_hold", "==", False)]}
_GONE = {
    "any": [
        _is("closure_requested", "==", True),
        _is("outflow_30d_pct", ">=", 0.6),
        {"all": [_is("funded_total", ">", 0), _is("zero_balance_days", ">=", 20)]},
        _is("days_since_activity", ">=", 40),
    ]
}


def restless(patience: int = 10) -> dict[str, Any]:
    """The document; `patience`: days of silence until a score rises."""
    return {
        "name": f"restless_{patience}",
        "score": [
            {"id": "quiet", "points": 40, "when": _is("days_since_activity", ">=", patience)},
            {"id": "complaint", "points": 25, "when": _is("complaint_open_days", ">", 5)},
            {"id": "outflow", "points": 30, "when": _is("net_flow_30d", "<", 0)},
        ],
        "rules": [
            _rule("trial_started", "prospect", "trial", 60, _is("trial_started", "==", True), guards=_FREE),
            _rule("fast_track", "prospect", "growth", 70, _is("first_funding", ">=", 10_000), guards=_FREE),
            _rule("recycled", "trial", "prospect", 20, _is("funded_here", "<=", 0), min_dwell_days=14),
            _rule(
                "converted", "trial", "growth", 60, {"all": [_is("funded_here", ">=", 50), _is("logins_14d", ">=", 1)]}
            ),
            _rule("lost", "trial", "decline", 90, _is("days_since_activity", ">=", patience + 2), urgent=True),
            _rule("busy", "growth", "mature", 40, _is("trades_30d", ">=", 1), confirm_days=3, min_dwell_days=2),
            _rule("calm", "mature", "growth", 40, _is("trades_30d", "<=", 0), confirm_days=14, guards=_FREE),
            _rule("at_risk", "growth mature", "decline", 80, _is("attrition_score", ">=", 40), confirm_days=2),
            _rule("leaving", "trial growth mature", "decline", 100, _GONE, always=True),
            _rule("false_alarm", "decline", "stage_before", 50, _is("attrition_score", "<", 30), confirm_days=14),
            _rule(
                "won_back", "decline", "growth", 55, _is("refunded_pct", ">=", 0.3), confirm_days=1, min_dwell_days=14
            ),
            _rule(
                "retrial", "decline", "trial", 60, _is("trial_started", "==", True), min_dwell_days=14, new_cycle=True
            ),
            _rule(
                "forgotten", "decline", "prospect", 10, _is("days_in_stage", ">=", 90), min_dwell_days=90, always=True
            ),
        ],
    }
