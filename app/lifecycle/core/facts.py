"""The registry of facts: each is declared once, and rules may use no other. The formulas: formulas.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.lifecycle.core import formulas as f
from app.lifecycle.core import payments as pay
from app.lifecycle.core import relationship as rel
from app.lifecycle.core.formulas import Array, Formula, entry_figures
from app.lifecycle.core.ledger import MONEY, Bools, Ledger, _column
from app.lifecycle.core.signals import SEVERITIES
from app.lifecycle.core.stages import STAGES

__all__ = ["FACTS", "SCORE", "Array", "Evaluation", "Fact", "Formula", "entry_figures"]

Kind = Literal["number", "bool", "text"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. `unit` is money, days, years, count, share, points, or none; `en` and `zh` are its label.

    `values`: what a text can be, empty where that depends on the policy.
    """

    name: str
    kind: Kind
    unit: str
    en: str
    zh: str
    formula: Formula
    values: tuple[str, ...] = ()


FACTS: dict[str, Fact] = {}

SCORE = "attrition_score"
"""Computed from the contributions of a policy, not from the ledger alone; see rules.py."""


def _fact(name: str, kind: Kind, unit: str, en: str, zh: str, formula: Formula, *values: str) -> None:
    FACTS[name] = Fact(name, kind, unit, en, zh, formula, values)


# fmt: off
# One line a fact reads as a table.
_fact("aum", "number", "money", "Assets under management", "管理资产", lambda g: f.money(g.balance(0)))
_fact("net_flow_30d", "number", "money", "Net flow, 30 days", "30 天净流入", lambda g: f.money(f.net(g, 30)))
_fact("net_flow_90d", "number", "money", "Net flow, 90 days", "90 天净流入", lambda g: f.money(f.net(g, 90)))
_fact("net_flow_90d_pct", "number", "share", "Net flow of 90 days, share of the assets before", "90 天净流入占此前资产比例", lambda g: f.ratio(f.net(g, 90), g.balance(90), f.LEAST_ASSETS))
_fact("net_flow_180d_pct", "number", "share", "Net flow of 180 days, share of the assets 90 days ago", "180 天净流入占 90 天前资产比例", lambda g: f.ratio(f.net(g, 180), g.balance(90), f.LEAST_ASSETS))
_fact("outflow_30d_pct", "number", "share", "Outflow of 30 days, share of the assets before", "30 天流出占此前资产比例", pay.outflow_pct)
_fact("funded_total", "number", "money", "Paid in so far", "累计入金", lambda g: _column([k.totals.inflow / MONEY for k in g.known]))
_fact("net_paid", "number", "money", "Paid in less paid out so far", "累计净入金", f.net_total)
_fact("funded_here", "number", "money", "Paid in for this trial", "本次试用入金", pay.funded_here)
_fact("first_funding", "number", "money", "Paid in on the first day of funding", "首日入金", pay.first_funding)
_fact("products_held", "number", "count", "Products held", "持有产品数", f.held("product:"))
_fact("recurring_deposit", "bool", "none", "Has a recurring deposit", "有定期入金", lambda g: f.held("recurring:")(g) > 0)
_fact("trades_30d", "number", "count", "Trades, 30 days", "30 天交易数", f.count("trades", 30))
_fact("trades_180d", "number", "count", "Trades, 180 days", "180 天交易数", f.count("trades", 180))
_fact("trades_total", "number", "count", "Trades so far", "累计交易数", lambda g: _column([k.totals.trades for k in g.known]))
for _days in (14, 21, 30, 90):
    _fact(f"logins_{_days}d", "number", "count", f"Logins, {_days} days", f"{_days} 天登录数", f.count("logins", _days))
_fact("login_drop", "number", "share", "Fall of logins against the two months before", "登录数较前两个月降幅", f.login_drop)
_fact("days_since_activity", "number", "days", "Days without activity", "无活动天数", f.last_active)
_fact("tenure_days", "number", "days", "Days as a customer", "成为客户天数", lambda g: g.days_since(_column([k.totals.since_day for k in g.known])))
_fact("days_in_stage", "number", "days", "Days in the stage", "在本阶段天数", lambda g: g.days_since(_column(g.state("entered_day"))))
_fact("active_months_12", "number", "count", "Active months of the last 12", "近 12 个月活跃月数", f.active_months("activity", 12))
_fact("active_months_3", "number", "count", "Active months of the last 3", "近 3 个月活跃月数", f.active_months("activity", 3))
_fact("incoming_months_3", "number", "count", "Months with incoming payments, of the last 3", "近 3 个月有入账月数", f.active_months("deposits", 3))
_fact("income_stopped", "bool", "none", "Regular incoming payments stopped", "定期入账中断", f.income_stopped)
_fact("salary_stopped", "bool", "none", "Salary stopped", "工资入账中断", f.salary_stopped)
_fact("onboarding_steps_done", "number", "count", "Onboarding steps done", "已完成开户步骤", f.held("onboarding:"))
_fact("nps_last", "number", "points", "Last NPS answer, 90 days", "90 天内 NPS 评分", f.recent_score("nps", 90))
_fact("csat_last", "number", "points", "Last satisfaction answer, 90 days", "90 天内满意度评分", f.recent_score("csat", 90))
_fact("complaint_open_days", "number", "days", "Days the oldest complaint is open", "最早投诉未决天数", f.complaint_days)
_fact("complaint_severity", "text", "none", "Worst open complaint", "最严重未决投诉", f.worst_complaint, "none", *SEVERITIES)
_fact("reviews_missed", "number", "count", "Reviews missed in a year, since the last meeting", "一年内上次会面后错过的回顾次数", f.reviews_missed)
_fact("closure_requested", "bool", "none", "Closure requested", "申请销户", f.since_decline("closure_requested"))
_fact("transfer_out_started", "bool", "none", "Transfer out started", "开始转出", f.since_decline("transfer_out_started"))
_fact("accounts_closed", "bool", "none", "All accounts closed", "账户全部关闭", lambda g: g.new_here("account_closed") & rel.closed(g))
_fact("trial_started", "bool", "none", "Trial or account begun", "开始试用或开户", lambda g: g.new_here("trial_started") | g.new_here("account_opened"))
_fact("enquired", "bool", "none", "New enquiry", "新咨询", f.here("enquiry"))
_fact("enquired_after_closing", "bool", "none", "New enquiry after the relationship ended", "关系结束后新咨询", rel.enquired_after_closing)
_fact("kyc_status", "text", "none", "Identity check", "身份核验", lambda g: f.texts(g.mark_values("kyc_status")), "none", "pending", "passed", "rejected")
_fact("suitability", "text", "none", "Risk profile", "风险测评", f.suitability, "none", "valid", "due", "expired")
_fact("segment", "text", "none", "Segment", "客群", lambda g: f.texts(g.mark_values("segment"), "mass"), "mass", "affluent", "high_net_worth", "small_business")
_fact("age", "number", "years", "Age", "年龄", f.age)
_fact("contact_verified", "bool", "none", "Contact verified", "联系方式已验证", f.flag("contact_verified"))
_fact("on_hold", "bool", "none", "On hold", "处于管控", f.flag("holds"))
_fact("marketing_consent", "bool", "none", "Marketing consent", "营销同意", f.flag("marketing_consent"))
_fact("relationship", "text", "none", "Relationship", "客户关系", lambda g: np.where(rel.closed(g), "closed", "open"), "open", "closed")
_fact("closed_since", "number", "days", "Days since the relationship ended", "关系结束天数", rel.closed_since)
_fact("meeting_booked", "bool", "none", "Meeting booked in the last 30 days", "30 天内已约见面", f.within("meeting_booked", 30))
_fact("extension_active", "bool", "none", "Service extension running", "服务延期中", lambda g: f.until(g, "extension_granted") >= g.today + g.ahead)
_fact("fee_enquiry_30d", "bool", "none", "Asked about fees or transfer, 30 days", "30 天内咨询费用或转出", f.within("fee_enquiry", 30))
_fact("offer_accepted_30d", "bool", "none", "Offer accepted, 30 days", "30 天内接受优惠", f.within("offer_redeemed", 30))
_fact("portfolio_accepted", "bool", "none", "Portfolio accepted", "已接受组合", f.flag("portfolio_accepted"))
_fact("recurring_cancelled_30d", "bool", "none", "Recurring deposit cancelled, 30 days", "30 天内取消定期入金", lambda g: g.within("recurring_deposit_cancelled", 30) & (f.held("recurring:")(g) == 0))
_fact("product_dropped_90d", "bool", "none", "Product dropped, 90 days", "90 天内停用产品", f.within("product_closed", 90))
_fact("product_opened_90d", "bool", "none", "New product, 90 days", "90 天内新增产品", f.within("product_opened", 90))
_fact("life_event_90d", "bool", "none", "Life event, 90 days", "90 天内人生大事", f.within("life_event", 90))
_fact("zero_balance_days", "number", "days", "Days without assets, at most 91", "零资产天数（最多 91 天）", f.zero_balance_days)
_fact("stage", "text", "none", "Stage", "阶段", lambda g: f.texts(g.state("stage")), *STAGES)
_fact("stage_before", "text", "none", "Stage before", "前一阶段", lambda g: f.texts(g.state("stage_before")), "none", *STAGES)
_fact("entered_by", "text", "none", "Rule that led here", "进入规则", lambda g: f.texts(g.state("entered_by")))
_fact("aum_before_decline", "number", "money", "Assets 90 days before decline", "衰退前资产", lambda g: g.entry("aum_before"))
_fact("outflow_before_decline", "number", "money", "Outflow of 90 days before decline", "衰退前流出", lambda g: g.entry("outflow"))
_fact("refunded_pct", "number", "share", "Net inflow since, share of the outflow", "回流占流出比例", pay.refunded_pct)
_fact("net_flow_30d_pct_before", "number", "share", "Net flow of 30 days, share of the assets before decline", "30 天净流入占衰退前资产比例", pay.net_pct_before)
_fact("had_trial", "bool", "none", "Had a trial before", "曾经试用", lambda g: ~np.isnan(_column(g.state("last_trial_ended_day"))))
_fact("days_since_trial", "number", "days", "Days since the last trial ended", "距上次试用结束天数", lambda g: g.days_since(_column(g.state("last_trial_ended_day"))))
_fact("returns_60d", "number", "count", "Returns to a stage left, 60 days", "60 天内返回次数", f.returns)
# fmt: on
FACTS[SCORE] = Fact(SCORE, "number", "points", "Attrition score", "流失评分", lambda g: np.full((g.n, 1), np.nan))


class Evaluation:
    """Facts of one ledger, computed when first asked for. `extra` adds facts of a policy, such as the score.

    `reasons`: what the score is made of, id and whether it counts now, (n,).
    """

    def __init__(self, ledger: Ledger, extra: Mapping[str, Array] | None = None) -> None:
        self.ledger = ledger
        self.reasons: list[tuple[str, Bools]] = []
        self._found: dict[str, Array] = dict(extra or {})

    def set(self, name: str, values: Array) -> None:
        """Provide a fact that the ledger alone cannot give."""
        self._found[name] = values

    def __getitem__(self, name: str) -> Array:
        if name not in self._found:
            self._found[name] = FACTS[name].formula(self.ledger)
        return self._found[name]
