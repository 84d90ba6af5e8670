"""The explanation through the API: in words, in both languages, exactly as documented."""

from datetime import timedelta

import pytest

from app.lifecycle.explaining.schemas import LifecycleRead
from tests.conftest import NOW
from tests.factories import funded, make_customer, send, signal


async def lifecycle(client, customer, language="en"):
    answer = await client.get(f"/v1/customers/{customer['id']}/lifecycle", headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    return answer.json()


def rule_of(answer, rule_id):
    return next(rule for rule in answer["rules"] if rule["id"] == rule_id)


def condition_of(answer, rule_id, fact):
    return next(c for c in rule_of(answer, rule_id)["conditions"] if c["fact"] == fact)


async def on_trial(client, **fields):
    """A customer whose trial lacks money and habits."""
    customer = await make_customer(client, **fields)
    await send(
        client,
        signal(customer, "account_opened", account="main"),
        signal(customer, "deposit", amount="780"),
        signal(customer, "risk_profile_completed"),
        signal(customer, "portfolio_accepted"),
    )
    return customer


async def by_hand(client, customer, to, reason="asked for it at the branch"):
    version = (await client.get(f"/v1/customers/{customer['id']}")).json()["version"]
    answer = await client.post(
        f"/v1/customers/{customer['id']}/transitions",
        json={"to": to, "reason": reason},
        headers={"If-Match": f'"{version}"'},
    )
    assert answer.status_code == 201, answer.text


def same_shape(answer, model):
    """Whether a model has every property of an answer and no other, at every depth."""
    shown = model.model_validate(answer).model_dump(mode="json")
    pairs = [(answer, shown)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict):
            assert set(one) == set(other)
            pairs += [(one[key], other[key]) for key in one]
        elif isinstance(one, list):
            pairs += zip(one, other, strict=True)
    return True


async def test_a_trial_is_explained_in_english(client):
    answer = await lifecycle(client, await on_trial(client), "en-GB")
    assert answer["why"]["text"] == (
        "Moved from prospect to trial on 2 March 2026 by the rule trial_started: trial or account begun: yes; contact"
        " verified: yes; identity check: passed (must not be rejected); on hold: no; had a trial before: no."
    )
    funding = condition_of(answer, "converted", "funded_here")
    assert funding["text"] == "Paid in for this trial: 780 USD, needs at least 1,000 USD (220 USD more)"
    converted = rule_of(answer, "converted")
    assert converted["text"] == (
        "Would lead to growth, blocked by: Paid in for this trial: 780 USD, needs at least 1,000 USD (220 USD more);"
        " Trades so far: 0, needs at least 1 (1 more); Has a recurring deposit: no, must be yes."
    )
    assert (converted["priority"], converted["confirm_days"], converted["min_dwell_days"]) == (60, 0, 0)
    assert converted["why"].startswith("1,000 is the least that can be spread")
    dwell = condition_of(answer, "recycled", "days_in_stage")
    assert dwell["text"].endswith("needs at least 45 (45 days more), comes by time alone on 16 April 2026")


async def test_a_trial_is_explained_in_chinese(client):
    answer = await lifecycle(client, await on_trial(client), "fr;q=0.9, zh-CN;q=0.8, en;q=0.1")
    assert answer["why"]["text"] == (
        "于2026年3月2日从潜在客户转入试用期，规则 trial_started：开始试用或开户：是；联系方式已验证：是；"
        "身份核验：已通过（不得为已拒绝）；处于管控：否；曾经试用：否。"
    )
    funding = condition_of(answer, "converted", "funded_here")
    assert funding["text"] == "本次试用入金：780 USD，需至少 1,000 USD（还差 220 USD）"
    assert rule_of(answer, "converted")["text"] == (
        "将转入成长期，目前受阻于：本次试用入金：780 USD，需至少 1,000 USD（还差 220 USD）；"
        "累计交易数：0，需至少 1（还差 1）；有定期入金：否，须为是。"
    )
    dwell = condition_of(answer, "recycled", "days_in_stage")
    assert dwell["text"].endswith("需至少 45（还差 45 天）；若无变化，将于2026年4月16日满足")


async def test_the_shape_of_a_condition_shows_how_many_of_how_many_hold(client):
    customer = await on_trial(client)
    await send(client, signal(customer, "trade"))
    answer = rule_of(await lifecycle(client, customer), "converted")
    [choice] = [part for part in answer["tree"]["all"] if isinstance(part, dict)]
    assert (choice["at_least"], choice["met"], choice["holds"]) == (2, 1, False)
    named = [answer["conditions"][place]["fact"] for place in choice["of"]]
    assert named == ["trades_total", "recurring_deposit", "logins_14d"]
    assert answer["blocked_by"] == ["funded_here", "recurring_deposit", "logins_14d"]


async def test_a_step_of_a_rule_names_the_facts_it_read_with_what_it_asked(client):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    why = (await lifecycle(client, customer))["why"]
    assert (why["kind"], why["rule_id"], why["sequence"], why["from_stage"]) == (
        "automatic",
        "fast_track",
        1,
        "prospect",
    )
    assert why["facts"][0] == {
        "fact": "first_funding",
        "label": "Paid in on the first day of funding",
        "value": 25000,
        "text": "Paid in on the first day of funding: 25,000 USD (needs at least 10,000 USD)",
    }
    assert why["text"].startswith(
        "Moved from prospect to growth on 2 March 2026 by the rule fast_track: paid in on the"
    )


async def test_a_beginning_and_a_move_by_hand_are_explained(client):
    customer = await make_customer(client)
    begun = (await lifecycle(client, customer))["why"]
    assert begun["text"] == "Created as prospect on 2 March 2026."
    assert (begun["kind"], begun["actor"], begun["decided_at"], begun["facts"]) == ("created", None, None, [])
    assert (await lifecycle(client, customer, "zh"))["why"]["text"] == "于2026年3月2日创建，初始阶段为潜在客户。"
    await by_hand(client, customer, "trial")
    answer = await lifecycle(client, customer)
    moved = "Moved from prospect to trial on 2 March 2026 by hand, by key:test: asked for it at the branch"
    assert (answer["why"]["text"], answer["why"]["actor"]) == (moved, "key:test")
    [pin] = [item for item in answer["next"] if item["kind"] == "pin"]
    assert pin["text"] == "The pin of the stage ends on 1 April 2026, 10:00; the rules act again."
    assert pin["at"] == answer["held_back"][0]["until"] == "2026-04-01T10:00:00Z"
    chinese = (await lifecycle(client, customer, "zh"))["why"]["text"]
    assert chinese == "于2026年3月2日从潜在客户转入试用期，由 key:test 人工操作：asked for it at the branch"


async def test_a_correction_says_which_step_it_took_back(client, clock):
    customer = await make_customer(client)
    opened = signal(customer, "account_opened", account="main")
    await send(client, opened)
    clock.now = NOW + timedelta(days=1)
    await send(client, signal(customer, "signal_retracted", clock.now, source_event_id=opened["source_event_id"]))
    why = (await lifecycle(client, customer))["why"]
    assert (why["kind"], why["corrects_sequence"], why["sequence"]) == ("correction", 1, 2)
    assert why["text"] == (
        "Back in prospect on 3 March 2026: step 1, from prospect to trial on 2 March 2026, was taken back, since the"
        " signal that caused it was retracted."
    )
    assert why["facts"][0]["text"] == "Trial or account begun: no (must be yes)"
    chinese = (await lifecycle(client, customer, "zh"))["why"]["text"]
    assert chinese.startswith(
        "于2026年3月3日恢复为潜在客户：引发该步的信号已撤回，第 1 步（2026年3月2日从潜在客户转入试用期）"
    )


async def test_what_comes_by_time_alone_is_what_comes(client, clock):
    customer = await make_customer(client)
    await send(client, signal(customer, "account_opened", account="main"))
    await send(client, signal(customer, "login"))
    coming = (await lifecycle(client, customer))["next"]
    assert [(item["kind"], item["at"]) for item in coming] == [
        ("daily_limit", "2026-03-03T10:00:00Z"),
        ("moves", "2026-04-16T00:00:00Z"),
    ]
    assert coming[1]["text"] == "Moves to prospect on 16 April 2026 by the rule recycled, if nothing happens."
    clock.now = NOW + timedelta(days=60)
    receipt = await send(client, signal(customer, "login", clock.now))
    [moved] = receipt["transitions"]
    assert (moved["rule_id"], moved["to_stage"], moved["effective_at"]) == (
        "recycled",
        "prospect",
        "2026-04-16T00:00:00Z",
    )


async def test_every_point_of_the_score_is_explained(client):
    customer = await make_customer(client)
    await send(client, *funded(customer))
    await send(client, signal(customer, "contact_in", topic="fee"))
    answer = await lifecycle(client, customer)
    assert (answer["attrition_score"], answer["score_reasons"]) == (20, ["fee_enquiry"])
    parts = {part["id"]: part for part in answer["score"]}
    assert sum(part["points"] for part in answer["score"] if part["counts"]) == 20
    assert parts["fee_enquiry"]["text"] == "Adds 20 points: Asked about fees or transfer, 30 days: yes."
    assert parts["product_dropped"]["text"] == "Would add 15 points, but: Product dropped, 90 days: no, must be yes."


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_an_explanation_has_exactly_the_documented_properties(client, language):
    customer = await on_trial(client)
    assert same_shape(await lifecycle(client, customer, language), LifecycleRead)
    await by_hand(client, customer, "growth")
    assert same_shape(await lifecycle(client, customer, language), LifecycleRead)


async def test_an_explanation_takes_the_same_statements_however_long_the_history_is(client, statements):
    fresh, old = await make_customer(client), await on_trial(client)
    for stage in ("growth", "mature", "decline", "growth"):
        await by_hand(client, old, stage)
    counts = []
    for customer in (fresh, old):
        statements.texts.clear()
        await lifecycle(client, customer)
        counts.append(len([text for text in statements.texts if "api_keys" not in text]))
    assert counts[0] == counts[1] <= 10
