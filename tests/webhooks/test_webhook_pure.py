"""Signing and retrying: no database, no network."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from app.webhooks.retry import (
    GIVE_UP_AFTER,
    JITTER,
    SCHEDULE,
    classify,
    exhausted,
    next_wait,
    parse_retry_after,
)
from app.webhooks.signing import new_secret, secret_key, sign, signed_headers

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
chances = st.floats(0, 1, exclude_max=True)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-12, 14))
def test_the_reference_library_verifies_what_we_sign_in_any_zone(body: str, hours: int) -> None:
    secret = new_secret()
    here = datetime.now(timezone(timedelta(hours=hours)))
    Webhook(secret).verify(body, signed_headers(secret, "evt_1", here, body), json_parse=False)


def test_the_same_moment_has_the_same_signature_wherever_it_is_told() -> None:
    secret = new_secret()
    shanghai = NOW.astimezone(timezone(timedelta(hours=8)))
    assert sign(secret, "evt_1", NOW, "{}") == sign(secret, "evt_1", shanghai, "{}")


def test_a_signature_is_that_of_the_published_example() -> None:
    # The example of the Standard Webhooks libraries' own tests.
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        '{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signature_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        sign(new_secret(), "evt_1", NOW.replace(tzinfo=None), "{}")


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "sec_" + "A" * 32, "whsec_%%%", *("whsec_" + base64.b64encode(b"x" * n).decode() for n in (23, 65))],
)
def test_a_secret_of_another_shape_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="signing secret"):
        secret_key(secret)


def test_secrets_are_fresh_and_long_enough() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(secret_key(new_secret())) == 32


@given(st.integers(1, len(SCHEDULE)), chances, st.none() | st.timedeltas(timedelta(), timedelta(days=9)))
def test_a_retry_never_comes_early(attempt: int, chance: float, asked: timedelta | None) -> None:
    wait = next_wait(attempt, chance, asked)
    assert wait is not None
    assert wait >= SCHEDULE[attempt - 1]
    assert wait >= min(asked or timedelta(), timedelta(hours=24))
    assert wait <= max(SCHEDULE[attempt - 1] * (1 + JITTER), timedelta(hours=24))


@given(chances)
def test_after_the_last_wait_the_delivery_is_dead(chance: float) -> None:
    assert next_wait(len(SCHEDULE) + 1, chance, timedelta(seconds=1)) is None


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        next_wait(0, 0.5)


def test_what_an_answer_means() -> None:
    assert {classify(status) for status in range(200, 300)} == {"delivered"}
    assert classify(410) == "gone"
    others = {classify(status) for status in (None, *range(100, 200), *range(300, 410), *range(411, 600))}
    assert others == {"retry"}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("99999999999999999999", 86400),
        ("Mon, 02 Mar 2026 10:05:00 GMT", 300),
        ("Mon, 02 Mar 2026 09:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str | None, seconds: int | None) -> None:
    wait = parse_retry_after(header, NOW)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text(max_size=60))
def test_no_retry_after_header_is_an_error(header: str) -> None:
    parse_retry_after(header, NOW)


def test_an_endpoint_is_given_up_after_five_days_of_failure() -> None:
    assert not exhausted(None, NOW)
    assert not exhausted(NOW - GIVE_UP_AFTER + timedelta(seconds=1), NOW)
    assert exhausted(NOW - timedelta(days=5), NOW)
