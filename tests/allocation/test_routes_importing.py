"""Assumptions from CSV over HTTP: estimates, tables, and every problem by its line."""

import numpy as np
import pytest

from app.allocation.engine.assumptions import parse_assumptions
from app.allocation.engine.defaults import default_assumptions, default_document
from app.allocation.engine.estimation import estimate
from app.allocation.importing.schemas import AssumptionTableRead, EstimateRead
from tests.allocation.return_panels import CODES, csv_of, market
from tests.allocation.written_tables import MONTHS, class_rows, matrix_rows, written

ESTIMATES, TABLES = "/v1/allocation/estimates", "/v1/allocation/assumption-sets/from-csv"
DRAFTS = "/v1/allocation/assumption-sets"
HEAD = {"name": "Ours", "currency": "EUR", "horizon": "10 years", "source": "our desk", "as_of": "2026-01-31"}


async def estimated(client, status=200, **body):
    answer = await client.post(ESTIMATES, json=body)
    assert answer.status_code == status, answer.text
    if status == 200:
        EstimateRead.model_validate(answer.json())
    return answer.json()


async def table(client, status=200, **body):
    answer = await client.post(TABLES, json=body)
    assert answer.status_code == status, answer.text
    if status == 200:
        AssumptionTableRead.model_validate(answer.json())
    return answer.json()


async def test_estimates_are_those_of_the_engine(client):
    panel = market(1, 36)
    shown = await estimated(client, csv=csv_of(panel))
    found = estimate(np.round(panel.returns, 8), 12)
    assert [row["asset_class"] for row in shown["asset_classes"]] == list(CODES)
    for name, values in (("volatility", found.volatilities), ("mean_return", found.means)):
        assert [float(row[name]) for row in shown["asset_classes"]] == pytest.approx(values.tolist(), abs=1e-6)
    np.testing.assert_allclose(shown["correlation"], found.correlation, atol=1e-6)
    assert float(shown["shrinkage"]) == pytest.approx(found.shrinkage, abs=1e-6)
    assert (shown["observations"], shown["periods_per_year"]) == (36, 12)
    assert (shown["first_on"], shown["last_on"]) == ("2000-01-31", "2002-12-31")
    assert shown["document"] is None
    plain = await estimated(client, csv=csv_of(panel), shrinkage="none")
    np.testing.assert_allclose(plain["correlation"], np.corrcoef(panel.returns.T), atol=1e-6)
    assert plain["shrinkage"] == "0.000000"


async def test_the_figures_go_into_the_document_of_a_version(client):
    panel = market(2, 60).of(tuple(reversed(CODES)))
    shown = await estimated(client, csv=csv_of(panel), based_on=1)
    document, shipped = shown["document"], default_document("assumptions")
    assumptions = parse_assumptions(document)
    found = estimate(panel.of(CODES).returns, 12)
    assert assumptions.codes == CODES
    np.testing.assert_allclose(assumptions.covariance, found.covariance, atol=1e-6)
    assert [c["expected_return"] for c in document["asset_classes"]] == [
        c["expected_return"] for c in shipped["asset_classes"]
    ]
    assert (await client.post(DRAFTS, json={"document": document})).status_code == 201
    assert "60 returns, 2000-01-31 to 2004-12-31" in document["correlation_source"]
    lacking = await estimated(client, 422, csv=MONTHS, based_on=1)
    assert {e["code"] for e in lacking["errors"]} == {"missing"}
    assert len(lacking["errors"]) == 5
    [error] = (await estimated(client, 422, csv=MONTHS, based_on=99))["errors"]
    assert (error["pointer"], error["code"]) == ("/based_on", "unknown_version")


async def test_columns_may_have_names_of_their_own(client):
    text = MONTHS.replace("domestic_equity", "MSCI World (TR)")
    shown = await estimated(client, csv=text, columns={"MSCI World (TR)": "world"})
    assert shown["asset_classes"][0]["asset_class"] == "world"
    [error] = (await estimated(client, 422, csv=MONTHS, columns={"a/b": "world"}))["errors"]
    assert (error["pointer"], error["code"]) == ("/columns/a~1b", "unknown_column")


async def test_byte_order_marks_windows_line_ends_and_blank_lines_are_read(client):
    plain = await estimated(client, csv=MONTHS)
    odd = "\ufeff" + MONTHS.replace("\n", "\r\n").replace(",", " , ") + "\r\n\r\n"
    assert await estimated(client, csv=odd) == plain


async def test_percentages_are_noticed(client):
    panel = market(1, 36)
    lines = [",".join(("date", *CODES))]
    lines += [
        ",".join((str(d), *(f"{v * 20:.6f}" for v in r))) for d, r in zip(panel.dates, panel.returns, strict=True)
    ]
    errors = (await estimated(client, 422, csv="\n".join(lines)))["errors"]
    assert any("column" in error["detail"] for error in errors)
    assert {error["code"] for error in errors} == {"out_of_range"}


async def test_tables_make_the_document_that_they_describe(client):
    shown = await table(client, csv=written(class_rows()), correlation_csv=written(matrix_rows(half=True)), **HEAD)
    assert shown["problems"] == []
    assert shown["repair"] is None
    assert parse_assumptions(shown["document"]).identity == default_assumptions().identity
    assert shown["document"]["currency"] == "EUR"
    assert shown["document"]["as_of"] == "2026-01-31"
    assert shown["document"]["asset_classes"][0]["return_measure"] == "compound"
    assert (await client.post(DRAFTS, json={"document": shown["document"]})).status_code == 201


async def test_the_order_of_columns_rows_and_the_matrix_is_free(client):
    rows = [list(reversed(row)) for row in class_rows()]
    matrix = [row[:1] + row[:0:-1] for row in matrix_rows()]
    shown = await table(client, csv=written(rows), correlation_csv=written([matrix[0], *matrix[:0:-1]]), **HEAD)
    assert shown["problems"] == []
    assert parse_assumptions(shown["document"]).identity == default_assumptions().identity


async def test_what_a_table_does_not_say_is_taken_from_a_version(client):
    shown = await table(client, csv="code,expected_return\ncash,0.02\nbonds,0.04\n", based_on=1, name="Lower rates")
    assert {(p["code"], p["pointer"]) for p in shown["problems"]} == {("weights_sum", "/csv")}
    weighted = "code,expected_return,market_weight\ncash,0.02,0.5\nbonds,0.04,0.5\n"
    shown = await table(client, csv=weighted, based_on=1, name="Lower rates")
    assert shown["problems"] == []
    document = shown["document"]
    assert [c["code"] for c in document["asset_classes"]] == ["cash", "bonds"]
    assert [c["expected_return"] for c in document["asset_classes"]] == [0.02, 0.04]
    assert document["asset_classes"][1]["names"]["zh"] == "债券"
    assert document["correlation"] == [[1.0, 0.13], [0.13, 1.0]]
    assert (document["name"], document["currency"]) == ("Lower rates", "USD")
    stranger = await table(client, csv=weighted.replace("bonds", "stamps"), based_on=1)
    assert ("/correlation_csv", "missing") in {(p["pointer"], p["code"]) for p in stranger["problems"]}


async def test_fields_beside_the_tables_and_the_matrix_must_be_there(client):
    shown = await table(client, csv=written(class_rows()), currency="EUR")
    found = {(p["pointer"], p["code"]) for p in shown["problems"]}
    needed = {("/correlation_csv", "missing"), ("/horizon", "missing"), ("/source", "missing"), ("/as_of", "missing")}
    assert found == needed


async def test_what_is_no_table_is_refused(client):
    text = written(class_rows())
    [error] = (await table(client, 422, csv=text.replace(",", ";"), **HEAD))["errors"]
    assert (error["pointer"], error["code"]) == ("/csv", "wrong_separator")
    [error] = (await table(client, 422, csv=text, correlation_csv="a\tb\n", **HEAD))["errors"]
    assert (error["pointer"], error["code"]) == ("/correlation_csv", "wrong_separator")
    [error] = (await table(client, 422, csv=text, based_on=77))["errors"]
    assert (error["pointer"], error["code"]) == ("/based_on", "unknown_version")
