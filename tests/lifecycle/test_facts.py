"""Every fact against ledgers small enough to be computed by hand, and the laws that all facts obey."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lifecycle.core.facts import FACTS, SCORE, Evaluation
from app.lifecycle.core.ledger import HORIZON, Ledger
from app.lifecycle.core.rules import evaluation
from tests.lifecycle.fact_cases import CASES
from tests.lifecycle.ledgers import DAY, LAW, POLICIES, TODAY, Sent, ago, fact, fold, same, signal_lists, states, stay


@pytest.mark.parametrize(("name", "expected", "signals", "state"), CASES)
def test_a_fact_is_what_a_person_would_compute(name, expected, signals, state):
    found = fact(name, *signals, state=state)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_every_declared_fact_has_a_case():
    assert {case[0] for case in CASES} | {SCORE} == set(FACTS)


def test_every_fact_is_labelled_in_both_languages_and_has_the_kind_it_declares():
    facts = Evaluation(Ledger([fold([ago(3, "login")])]))
    kinds = {"number": "f", "bool": "b", "text": "U"}
    for name, declared in FACTS.items():
        assert declared.en
        assert declared.zh
        assert facts[name].dtype.kind == kinds[declared.kind], name
        assert facts[name].shape in ((1, 1), (1, HORIZON + 1)), name


def test_the_score_is_the_capped_sum_of_what_holds():
    everything = [
        ago(100, "deposit", amount="100000"),
        ago(60, "withdrawal", amount="30000"),
        ago(20, "recurring_deposit_cancelled"),
        ago(20, "product_closed", product_id="p"),
        ago(20, "contact_in", topic="transfer"),
        ago(20, "complaint_opened", complaint_id="c"),
        ago(20, "survey_answered", survey="nps", score=2),
    ]
    facts = evaluation(POLICIES["wealth"], Ledger([fold(everything), fold(everything[:2]), fold(everything[:1])]))
    assert facts[SCORE][:, 0].tolist() == [100.0, 60.0, 20.0]  # 40+15+15+20+20+10; 40 and 20 of silence; silence
    assert [name for name, on in facts.reasons if on[1]] == ["outflow_25", "silent"]


def matrices(known):
    """Every fact of a set of customers, over all days."""
    ledger = Ledger(known)
    facts = evaluation(POLICIES["wealth"], ledger)
    return {name: np.broadcast_to(facts[name], (ledger.n, ledger.columns)) for name in FACTS}


@LAW
@given(signal_lists(least=1), states(), st.randoms(use_true_random=False))
def test_signals_in_any_order_and_sent_twice_give_the_same_facts(signals, state, random):
    again = [*signals, *random.sample(signals, len(signals) // 2)]
    random.shuffle(again)
    found, expected = matrices([fold(again, state)]), matrices([fold(signals, state)])
    assert [name for name in FACTS if not same(found[name], expected[name])] == []


@LAW
@given(signal_lists(least=1), states(), st.lists(st.integers(1, HORIZON), min_size=1, max_size=8))
def test_every_fact_foresees_what_it_will_be_if_nothing_happens(signals, state, later):
    known = fold(signals, state)
    foreseen = matrices([known])
    then = matrices([replace(known, today=TODAY + d, now=known.now + d * DAY) for d in later])
    wrong = [(n, d) for n in FACTS for i, d in enumerate(later) if not same(foreseen[n][0, d], then[n][i, 0])]
    assert wrong == []


@LAW
@given(st.lists(st.tuples(signal_lists(), states()), min_size=2, max_size=3))
def test_the_facts_of_a_set_are_those_of_each(customers):
    known = [fold(signals, state) for signals, state in customers]
    together, alone = matrices(known), [matrices([k]) for k in known]
    assert [n for n in FACTS for i in range(len(known)) if not same(together[n][i], alone[i][n][0])] == []


@LAW
@given(signal_lists(least=1), states())
def test_the_facts_of_today_alone_are_the_first_column(signals, state):
    known = fold(signals, state)
    narrow, wide = Evaluation(Ledger([known], horizon=0)), Evaluation(Ledger([known]))
    assert [n for n in FACTS if not same(narrow[n][:, 0], wide[n][:, 0])] == []


def test_interest_and_fees_are_neither_activity_nor_flow():
    system: list[Sent] = [
        ago(5, "deposit", amount="80", account="A", balance_after="5080", system=True),
        ago(4, "withdrawal", amount="30", account="A", balance_after="5050", system=True),
    ]
    assert fact("aum", *system) == 5050
    assert fact("net_flow_30d", *system) == 0
    assert fact("funded_total", *system) == 0
    assert fact("days_since_activity", *system, state=stay("growth", 50)) == 50


def test_days_and_balances_may_come_in_any_order():
    known = fold([ago(d, "deposit", amount=str(d), account="A", balance_after=str(100 * d)) for d in (2, 50, 7, 30)])
    [(base, days, values)] = known.accounts
    mixed = replace(
        known,
        days=[column[::-1] for column in known.days],
        accounts=[(base, days[2:] + days[:2], values[2:] + values[:2])],
    )
    assert [n for n, m in matrices([mixed]).items() if not same(m, matrices([known])[n])] == []
    assert matrices([mixed])["aum"][0, 0] == 200


def test_a_balance_that_leaves_the_days_that_are_loaded_still_counts():
    known = fold([ago(80, "balance", account="A", balance="2000"), ago(5, "withdrawal", amount="500")])
    then = replace(known, today=TODAY + 30, now=known.now + 30 * DAY)
    assert matrices([then])["net_flow_90d_pct"][0, 0] == -0.25
    assert matrices([known])["net_flow_90d_pct"][0, 30] == -0.25


def test_nobody_in_a_set_gives_nothing():
    assert Ledger([]).balances.shape == (0, 92)
