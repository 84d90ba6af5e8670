"""Why a customer's portfolio is what it is: codes with parameters, and texts in the languages of the service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.allocation.engine.assumptions import AssumptionSet
from app.allocation.engine.defaults import default_document
from app.allocation.engine.document import LANGUAGES
from app.allocation.engine.people import People
from app.allocation.engine.policy import RISK_CLASSES, Policy
from app.allocation.engine.portfolios import Portfolios
from app.allocation.engine.profile import Limit
from app.allocation.engine.recommend import Basis, Recommendations
from app.allocation.engine.signatures import GROWTH_STEPS, Signature

_TIGHT = 0.0015  # a share this close to its limit has reached it, rounding included


@dataclass(frozen=True)
class Reason:
    """One reason. `params` are plain JSON values: percentages as numbers (35.0 is 35 %), codes of asset classes, and,
    where a name differs by language, an object with one text for each."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


def reasons_for(
    policy: Policy,
    assumptions: AssumptionSet,
    people: People,
    recommendations: Recommendations,
    rows: Sequence[int] | NDArray[np.intp],
) -> list[list[Reason]]:
    """The reasons of the chosen rows, the most important first."""
    chosen = np.asarray(rows, dtype=np.intp)
    weights = recommendations.weights[chosen]
    facts: dict[str, list[Any]] = {
        name: getattr(people, name)[chosen].tolist()
        for name in ("age", "tolerance", "capacity", "horizon_years", "liquidity_need", "announced_withdrawal")
    }
    facts |= {
        name: getattr(recommendations, name)[chosen].tolist()
        for name in ("limit", "basis", "risk_class", "volatility", "signature")
    }
    facts["contradictions"] = people.contradictions[chosen].tolist()
    facts["growth"] = (weights @ assumptions.growth).tolist()
    facts["weights"] = weights.tolist()
    constant = {
        place: _Rules(policy, assumptions, recommendations.signatures[place], recommendations.portfolios[place])
        for place in set(facts["signature"])
    }
    columns = tuple(facts)
    return [
        _of_customer(constant[fact["signature"]], fact)
        for fact in (dict(zip(columns, values, strict=True)) for values in zip(*facts.values(), strict=True))
    ]


def render(reason: Reason, language: str) -> str:
    """The text of a reason.

    Raises:
        ValueError: if there is no text in that language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"no texts in {language}, only in {', '.join(LANGUAGES)}")
    params = {
        name: value[language] if isinstance(value, dict) else f"{value:g}" if isinstance(value, float) else value
        for name, value in reason.params.items()
    }
    return str(_texts()["reasons"][reason.code][language].format(**params))


@cache
def _texts() -> dict[str, dict[str, dict[str, str]]]:
    texts: dict[str, dict[str, dict[str, str]]] = default_document("reasons")
    return texts


def _percent(share: float) -> float:
    return round(share * 100, 1)


def _joined(names: Iterable[Mapping[str, str]]) -> dict[str, str]:
    parts = list(names)
    separator = _texts()["terms"]["separator"]
    return {language: separator[language].join(part[language] for part in parts) for language in LANGUAGES}


class _Rules:
    """What all customers of one signature share: the reasons it gives, and its limits."""

    def __init__(
        self, policy: Policy, assumptions: AssumptionSet, signature: Signature, portfolios: Portfolios
    ) -> None:
        self.policy, self.signature, self.portfolios = policy, signature, portfolios
        self.names = {c.code: c.names for c in assumptions.asset_classes}
        self.growth_maximum = signature.growth_steps / GROWTH_STEPS
        self.cash = portfolios.constraints.lower[assumptions.codes.index(policy.cash_class)]
        known = [(code, assumptions.codes.index(code)) for code, _, _ in policy.bounds if code in self.names]
        upper = portfolios.constraints.upper
        self.capped = [(code, place, upper[place]) for code, place in known if 0 < upper[place] < 1]
        self.reasons = [*self._horizon(), *self._segment(), *self._stage(), *self._restriction()]

    def classes(self, code: str, classes: Iterable[str], **params: Any) -> Iterable[Reason]:
        """A reason that names asset classes, if there are any in this set."""
        present = [name for name in classes if name in self.names]
        if present:
            listed = _joined(self.names[name] for name in present)
            yield Reason(code, {"asset_classes": present, "classes": listed, **params})

    def _horizon(self) -> Iterable[Reason]:
        if self.signature.horizon_rule < len(self.policy.horizon_rules):
            rule = self.policy.horizon_rules[self.signature.horizon_rule]
            yield from self.classes("horizon_classes", rule.only, under_years=rule.under_years)

    def _segment(self) -> Iterable[Reason]:
        rule = self.policy.segments[self.signature.segment]
        if rule.alternatives_maximum <= 0:
            yield from self.classes("segment_no_alternatives", self.policy.alternatives)
        elif not self.signature.alternatives:
            lowest = RISK_CLASSES[self.policy.alternatives_minimum_class - 1]
            yield from self.classes("class_no_alternatives", self.policy.alternatives, risk_class=lowest)
        if rule.minimum_cash > 0:
            yield Reason("segment_minimum_cash", {"cash": _percent(rule.minimum_cash)})
        if rule.minimum_liquid > 0:
            yield Reason("segment_minimum_liquid", {"liquid": _percent(rule.minimum_liquid)})

    def _stage(self) -> Iterable[Reason]:
        if self.signature.stage < len(self.policy.stages):
            rule = self.policy.stages[self.signature.stage]
            segment = self.policy.segments[self.signature.segment]
            none = segment.alternatives_maximum <= 0 or not self.signature.alternatives
            gone = self.policy.alternatives if none else ()
            terms = _texts()["terms"]
            name = terms.get(f"{rule.stage}_stage") or terms[rule.stage]
            yield from self.classes("stage_excluded", [c for c in rule.excluded if c not in gone], stage=name)

    def _restriction(self) -> Iterable[Reason]:
        restriction = self.signature.restriction
        yield from self.classes("restriction_excluded", restriction.excluded)
        if restriction.minimum_cash > 0:
            yield Reason("restriction_minimum_cash", {"cash": _percent(restriction.minimum_cash)})

    def conflict(self) -> Reason:
        terms, limits = _texts()["terms"], []
        for name in self.portfolios.conflict:
            subject, side = name.rsplit(".", 1)
            named = self.names.get(subject) or terms[subject]
            limits.append({language: terms[side][language].format(name=named[language]) for language in LANGUAGES})
        return Reason(
            "constraints_conflict", {"constraints": list(self.portfolios.conflict), "limits": _joined(limits)}
        )

    def no_portfolio(self, risk_class: int) -> Reason:
        frontier = self.portfolios.frontier
        lowest = float(frontier.volatility[0]) if frontier is not None else 0.0
        ceiling = _percent(self.policy.volatility_ceilings[risk_class - 1])
        name = RISK_CLASSES[risk_class - 1]
        # Two decimals, so that a figure just above its ceiling does not read as equal to it.
        return Reason(
            "no_suitable_portfolio", {"risk_class": name, "ceiling": ceiling, "lowest": round(lowest * 100, 2)}
        )


def _of_customer(rules: _Rules, fact: dict[str, Any]) -> list[Reason]:
    reasons = []
    if fact["basis"] == Basis.INDICATIVE:
        reasons.append(Reason("no_profile", {"risk_class": RISK_CLASSES[fact["risk_class"] - 1]}))
    reasons += _limit_reason(rules, fact)
    growth_bound = rules.growth_maximum < 1 and fact["growth"] >= rules.growth_maximum - _TIGHT
    if fact["limit"] == Limit.AGE or growth_bound:
        cap = {"growth_maximum": _percent(rules.growth_maximum)}
        known = fact["age"] == fact["age"]  # NaN differs from itself
        reasons.append(Reason("age_bound", {"age": int(fact["age"]), **cap}) if known else Reason("age_unknown", cap))
    if rules.signature.withdrawal_steps:
        withdrawal = _percent(min(fact["announced_withdrawal"], 1.0))
        reasons.append(Reason("withdrawal_in_cash", {"withdrawal": withdrawal, "cash": _percent(rules.cash)}))
    reasons += rules.reasons
    for code, place, maximum in rules.capped:
        if fact["weights"][place] >= maximum - 1e-6:
            reasons += rules.classes("class_capped", [code], maximum=_percent(maximum))
    if fact["contradictions"] > 0 and fact["basis"] == Basis.ADVISED:
        reasons.append(Reason("contradictory_answers", {"count": fact["contradictions"]}))
    return reasons


def _limit_reason(rules: _Rules, fact: dict[str, Any]) -> list[Reason]:
    """The reason that the binding limit itself gives; age and the missing profile have reasons of their own."""
    limit = Limit(fact["limit"])
    name = RISK_CLASSES[fact["risk_class"] - 1]
    if limit is Limit.CONFLICT:
        return [rules.conflict()]
    if limit is Limit.CLASS_CEILING:
        return [rules.no_portfolio(fact["risk_class"])]
    result = {"risk_class": name, "growth": _percent(fact["growth"])}
    if limit is Limit.TOLERANCE:
        ceiling = _percent(rules.policy.volatility_ceilings[fact["risk_class"] - 1])
        points = {"tolerance": round(fact["tolerance"], 1), "risk_class": name, "ceiling": ceiling}
        return [Reason("tolerance_bound", points)]
    if limit is Limit.CAPACITY:
        points = {"capacity": round(fact["capacity"], 1), "tolerance": round(fact["tolerance"], 1)}
        return [Reason("capacity_bound", points | result)]
    if limit is Limit.HORIZON:
        return [Reason("horizon_bound", {"years": round(fact["horizon_years"], 1), **result})]
    if limit is Limit.LIQUIDITY:
        return [Reason("liquidity_bound", {"need": _percent(fact["liquidity_need"]), **result})]
    if limit is Limit.MINIMUM_CASH:
        return [Reason("minimum_cash_bound", {"cash": _percent(rules.cash)})]
    if limit in {Limit.PERMITTED_CLASSES, Limit.LEAST_RISK}:
        code = "least_risk" if limit is Limit.LEAST_RISK else "permitted_classes_bound"
        return [Reason(code, {"volatility": _percent(fact["volatility"])})]
    return []
