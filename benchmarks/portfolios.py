"""Many customers with risk profiles, wishes and recommended portfolios, for benchmarks: written in bulk, all different.

The portfolio of each is what the service recommends. The text of the record is not read again: it is that of one of
SAMPLES customers, to whom the service recommended.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.allocation.everybody.bulk import CHUNK, EPOCH, Whom, read_chunk
from app.allocation.everybody.screening import computed, next_reviews
from app.allocation.records import portfolio_keys, standing_keys
from app.allocation.service import recommend
from app.allocation.versions.store import in_force
from app.clock import new_id
from app.db import Database

SAMPLES = 2_000

_PEOPLE = """CREATE TEMP TABLE people AS
SELECT n, uuidv7() AS id, random() AS a, random() AS b, random() AS c, random() AS d, random() AS e, random() AS f,
    random() AS g, random() AS h FROM generate_series(1, {count}) AS n"""
_CUSTOMERS = """INSERT INTO customers (id, kind, full_name, email, birth_on, segment, tier, language, time_zone, stage,
    stage_entered_at, created_at, updated_at, merged_into)
SELECT id, CASE WHEN a < {business} THEN 'business' ELSE 'individual' END, 'Customer ' || n, 'c' || n || '@example.com',
    CASE WHEN b > 0.02 THEN DATE '1935-01-01' + (b * 26000)::int END,
    CASE WHEN a < {business} THEN 'small_business' WHEN a < 0.25 THEN 'high_net_worth' WHEN a < 0.45 THEN 'affluent'
        ELSE 'mass' END,
    (ARRAY['A', 'B', 'C'])[1 + (c * 3)::int % 3], 'en', 'UTC',
    (ARRAY['prospect', 'trial', 'growth', 'mature', 'decline'])[1 + (d * 5)::int % 5],
    TIMESTAMPTZ '{now}', TIMESTAMPTZ '{now}', TIMESTAMPTZ '{now}', CASE WHEN n % 100 = 0 THEN before END
FROM (SELECT *, lag(id) OVER (ORDER BY n) AS before FROM people) p ORDER BY n"""
_PROFILES = """INSERT INTO risk_profiles (id, customer_id, questionnaire_version, questionnaire_digest, policy_version,
    answers, tolerance, capacity, score, risk_class, limit_code, facts, contradictions, created_at, valid_until)
SELECT uuidv7(), id, '1', repeat('0', 64), '1', '{{}}', (e * 100)::int, (f * 100)::int, least(e, f) * 100, 'C3',
    'tolerance', json_build_object('horizon_years', (ARRAY[2, 4, 6, 8.5, 15])[1 + (g * 5)::int % 5], 'liquidity_need',
        (ARRAY[0, 0, 0, 0.05, 0.15, 0.3])[1 + (h * 6)::int % 6]), '[]',
    TIMESTAMPTZ '{now}', TIMESTAMPTZ '{now}' + interval '300 days' * c + interval '1 day'
FROM people WHERE b < 0.7 ORDER BY n"""
_WISHES = """INSERT INTO allocation_circumstances (customer_id, excluded, minimum_cash, withdrawal_share, withdrawal_by,
    updated_at, updated_by)
SELECT id, CASE WHEN h < 0.05 THEN ARRAY['gold'] ELSE '{{}}' END, CASE WHEN h > 0.03 THEN 0.1 ELSE 0 END,
    CASE WHEN h > 0.08 THEN 0.3 END, CASE WHEN h > 0.08 THEN DATE '{now:%Y-%m-%d}' + 30 END, TIMESTAMPTZ '{now}', 'bank'
FROM people WHERE h < 0.1 ORDER BY n"""
_SAMPLE = "SELECT id FROM customers WHERE merged_into IS NULL ORDER BY id LIMIT $1 FOR NO KEY UPDATE"
_RECOMMENDATIONS = """INSERT INTO recommendations (id, customer_id, basis, state, status, weights, expected_return,
    volatility, annual_cost, risk_class, risk_level, limit_code, record, created_at)
SELECT r.recommendation_id, r.customer_id, s.basis, s.state, s.status,
    s.weights, s.expected_return, s.volatility, s.annual_cost, s.risk_class, s.risk_level, s.limit_code, s.record,
    s.created_at
FROM (SELECT *, row_number() OVER (ORDER BY customer_id) AS n FROM recommendation_current) r
JOIN (SELECT *, row_number() OVER (ORDER BY id) AS n FROM recommendations) s ON s.n = r.n % {samples} + 1
WHERE NOT EXISTS (SELECT FROM recommendations o WHERE o.id = r.recommendation_id) ORDER BY r.customer_id"""


async def load(database: Database, url: str, count: int, now: datetime, *, business: float) -> int:
    """`count` customers, of whom a share `business` are small businesses and one in a hundred is a merged duplicate.
    Returns how many have a portfolio."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica; SELECT setseed(0.5)")
    for statement in (_PEOPLE, _CUSTOMERS, _PROFILES, _WISHES):
        await connection.execute(statement.format(count=count, now=now, business=business))
    await connection.execute("ANALYZE")
    async with database.transaction() as session:
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        assert driver is not None
        ids = [row["id"] for row in await driver.fetch(_SAMPLE, SAMPLES)]
        await recommend(session, ids, now, silent=True)
    await _point(database, connection, now)
    await connection.execute(_RECOMMENDATIONS.format(samples=SAMPLES))
    await connection.execute("SET session_replication_role = DEFAULT")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    found = await connection.fetchval("SELECT count(*) FROM recommendation_current")
    await connection.close()
    return int(found)


async def _point(database: Database, connection: "asyncpg.Connection[Any]", now: datetime) -> None:
    """What the engine says of everybody who has no recommendation yet."""
    columns = ("customer_id", "recommendation_id", "portfolio", "standing", "profile_until", "review_at")
    after = None
    while True:
        async with database.snapshot() as reader:
            rules = await in_force(reader)
            chunk = await read_chunk(reader, rules, Whom(), now, after, CHUNK)
        result = await asyncio.to_thread(computed, rules, chunk, now)
        keys = zip(portfolio_keys(result), standing_keys(result), strict=True)
        due = next_reviews(rules, chunk.rows, now).tolist()
        rows = zip(chunk.rows["id"].tolist(), chunk.rows["former"].tolist(), keys, due, strict=True)
        records = [
            (UUID(bytes=one), new_id(), *its, None, EPOCH + timedelta(microseconds=at))
            for one, former, its, at in rows
            if not former
        ]
        await connection.copy_records_to_table("recommendation_current", records=records, columns=columns)
        if chunk.until is None:
            return
        after = chunk.until
