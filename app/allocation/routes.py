"""Questionnaire, risk profiles and recommendations over HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.allocation import answers, previews
from app.allocation.inputs import Inputs
from app.allocation.preview_schemas import ModelPortfolioList, ModelPortfolioQuery, PreviewCreate
from app.allocation.profiles import complete_profiles, profile_inputs, profile_state, read_profile, score_complete
from app.allocation.reading import list_recommendations, read_recommendation
from app.allocation.recomputing import verify
from app.allocation.schemas import (
    LanguageQuery,
    PreviewRead,
    QuestionnaireRead,
    RecommendationAnswer,
    RecommendationPage,
    RecommendationQuery,
    RecommendationRead,
    RecomputationRead,
    RiskProfileCreate,
    RiskProfileRead,
)
from app.allocation.versions.store import Executor, InForce, documents_of, in_force
from app.auth.deps import needs
from app.auth.service import Principal
from app.customers.reading import refuse_missing
from app.customers.service import lock
from app.deps import IfNoneMatch, NowDep, ReadDep, SessionDep, StrictRoute, etag, json_response, problems, unchanged
from app.errors import invalid

router = APIRouter(prefix="/v1/allocation", tags=["Allocation"], route_class=StrictRoute)
customer_router = APIRouter(prefix="/v1/customers/{customer_id}", tags=["Recommendations"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("allocation:read")]
Writer = Annotated[Principal, needs("allocation:write")]
Language = Annotated[LanguageQuery, Query()]


async def _lock_one(session: AsyncSession, customer_id: UUID) -> None:
    await lock(session, [customer_id])
    await refuse_missing(await session.connection(), customer_id)


@router.get(
    "/questionnaire", response_model=QuestionnaireRead, summary="Read the risk questionnaire", responses=problems()
)
async def get_questionnaire(query: Language, connection: ReadDep, _: Reader) -> Response:
    """The version in force. What an option counts is not shown."""
    language, questionnaire = query.language or "en", (await in_force(connection)).questionnaire
    questions = [
        {
            "id": question.id,
            "text": question.texts[language],
            "options": [{"id": option.id, "text": option.texts[language]} for option in question.options],
        }
        for question in questionnaire.questions
    ]
    title = questionnaire.titles[language]
    return json_response(
        {"version": questionnaire.version, "language": language, "title": title, "questions": questions}
    )


async def _profile(executor: Executor, row: dict[str, Any], now: datetime, language: str) -> dict[str, Any]:
    answered = (await documents_of(executor, {"questionnaire": row["questionnaire_digest"]}))["questionnaire"]
    texts = {entry.id: entry.texts[language] for entry in answered.contradictions}
    warning_days = (await in_force(executor)).policy.profile_warning_days
    shown = {key: value for key, value in row.items() if key not in ("limit_code", "questionnaire_digest")}
    return {
        **shown,
        "limit": row["limit_code"],
        "contradictions": [{"id": found, "text": texts.get(found, found)} for found in row["contradictions"]],
        "status": profile_state(row["valid_until"], now, warning_days),
    }


@customer_router.post(
    "/risk-profile",
    status_code=201,
    response_model=RiskProfileRead,
    summary="Save a completed risk questionnaire",
    responses=problems("malformed_json", "not_found", "erased"),
)
async def create_risk_profile(
    customer_id: UUID, body: RiskProfileCreate, query: Language, session: SessionDep, now: NowDep, _: Writer
) -> Response:
    """Every question must be answered. The recommendation follows at once, and is advice from then on."""
    rules = await in_force(session)
    if body.questionnaire_version not in (None, rules.questionnaire.version):
        raise invalid("/questionnaire_version", "outdated", "Another version of the questionnaire is in force.")
    await _lock_one(session, customer_id)
    [row] = await complete_profiles(session, rules, {customer_id: body.answers}, now)
    shown = await _profile(session, row, now, query.language or "en")
    return json_response(shown, 201, {"ETag": etag(f"{row['id']}.valid")})


@customer_router.get(
    "/risk-profile",
    response_model=RiskProfileRead,
    summary="Read a customer's risk profile",
    responses={**problems("not_found", "erased"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_risk_profile(
    customer_id: UUID, query: Language, connection: ReadDep, now: NowDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """The latest one, also if it has expired; `status` says so."""
    row = await read_profile(connection, customer_id)
    shown = await _profile(connection, row, now, query.language or "en")
    return _tagged(shown, f"{shown['id']}.{shown['status']}", if_none_match)


def _tagged(shown: dict[str, Any], tag: str, if_none_match: str | None) -> Response:
    if unchanged(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": etag(tag)})
    return json_response(shown, headers={"ETag": etag(tag)})


def _recommendation_tag(shown: dict[str, Any]) -> str:
    """A recommendation never changes but for its state; its warnings depend on the day, its texts on the language."""
    warned = "".join(f".{w['code']}" for w in shown["warnings"] if w["code"].startswith("profile_"))
    warned += "".join(f".{w['params']['date']}" for w in shown["warnings"] if w["code"] == "life_event")
    until = shown["profile_valid_until"]
    dated = f".{until.timestamp():.0f}" if until else ""
    return f"{shown['id']}.{shown['state']}.{shown['language']}{dated}{warned}"


@customer_router.get(
    "/recommendation",
    response_model=RecommendationRead,
    summary="Read a customer's recommended portfolio",
    responses={**problems("not_found", "erased"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_recommendation(
    customer_id: UUID, query: Language, connection: ReadDep, now: NowDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """The latest one, with what it rests on, why it is so, and what to beware of."""
    shown = await read_recommendation(connection, customer_id, query.language, now)
    return _tagged(shown, _recommendation_tag(shown), if_none_match)


@customer_router.get(
    "/recommendations",
    response_model=RecommendationPage,
    summary="List a customer's recommendations",
    responses=problems("not_found", "erased", "invalid_cursor"),
)
async def list_customer_recommendations(
    customer_id: UUID, query: Annotated[RecommendationQuery, Query()], connection: ReadDep, now: NowDep, _: Reader
) -> Response:
    """Newest first; every one stays readable as it was made."""
    items, cursor = await list_recommendations(connection, customer_id, query, query.language, now)
    return json_response({"items": items, "next_cursor": cursor})


@customer_router.get(
    "/recommendations/{recommendation_id}/recomputation",
    response_model=RecomputationRead,
    summary="Compute a recommendation again from its record",
    responses=problems("not_found", "erased"),
)
async def recompute_recommendation(
    customer_id: UUID, recommendation_id: UUID, connection: ReadDep, _: Reader
) -> Response:
    """The proof for an audit: the record alone gives the weights that were recommended, or what it gives today."""
    return json_response(await verify(connection, customer_id, recommendation_id))


_ANSWERED = problems("malformed_json", "not_found", "erased", "no_recommendation", "conflict")


@customer_router.post(
    "/recommendation/acceptance",
    response_model=RecommendationRead,
    summary="Accept the recommended portfolio",
    responses=_ANSWERED,
)
async def accept_recommendation(
    customer_id: UUID, body: RecommendationAnswer, query: Language, session: SessionDep, now: NowDep, _: Writer
) -> Response:
    """The customer accepts what was shown. An indication cannot be accepted. Sending it again changes nothing."""
    await _lock_one(session, customer_id)
    await answers.accept(session, {customer_id: body.recommendation_id}, now)
    return await _answered(session, customer_id, query, now)


@customer_router.post(
    "/recommendation/refusal",
    response_model=RecommendationRead,
    summary="Decline the recommended portfolio",
    responses=_ANSWERED,
)
async def decline_recommendation(
    customer_id: UUID, body: RecommendationAnswer, query: Language, session: SessionDep, now: NowDep, _: Writer
) -> Response:
    """The customer does not want it; a portfolio accepted before stays in force. Sending it again changes nothing."""
    await _lock_one(session, customer_id)
    await answers.decline(session, {customer_id: body.recommendation_id}, now)
    return await _answered(session, customer_id, query, now)


async def _answered(session: AsyncSession, customer_id: UUID, query: LanguageQuery, now: datetime) -> Response:
    shown = await read_recommendation(await session.connection(), customer_id, query.language, now)
    return _tagged(shown, _recommendation_tag(shown), None)


@router.get(
    "/model-portfolios",
    response_model=ModelPortfolioList,
    summary="Compute the model portfolios of the risk classes",
    responses=problems(),
)
async def list_model_portfolios(
    query: Annotated[ModelPortfolioQuery, Query()], connection: ReadDep, now: NowDep, _: Reader
) -> Response:
    """C1 to C5 for people of a segment, stage and age, each at the ceiling of its class. Writes nothing."""
    rules = await in_force(connection)
    segment = query.segment or _segment_of(query.kind)
    person = Inputs(query.kind, segment, query.stage, query.age)
    items = previews.model_portfolios(rules, person, query.language, now)
    return json_response({"items": items})


@router.post(
    "/preview",
    response_model=PreviewRead,
    summary="Compute a portfolio for a described person",
    responses=problems("malformed_json"),
)
async def preview_recommendation(body: PreviewCreate, connection: ReadDep, now: NowDep, _: Reader) -> Response:
    """What would be recommended, if. Writes nothing."""
    rules = await in_force(connection)
    for place, code in enumerate(body.excluded):
        if code not in rules.assumptions.codes:
            raise invalid(f"/excluded/{place}", "unknown_asset_class", "The assumptions in force lack this class.")
    [shown] = previews.preview(rules, [_described(body, rules)], body.language, now)
    return json_response(shown)


def _segment_of(kind: str) -> str:
    return "small_business" if kind == "business" else "mass"


def _described(body: PreviewCreate, rules: InForce) -> Inputs:
    answered: dict[str, Any] = {}
    if body.answers is not None:
        answered = profile_inputs(score_complete(rules.questionnaire, [body.answers], "/answers"), 0)
    elif body.profile is not None:
        need = float(body.profile.liquidity_need)
        answered = {**body.profile.model_dump(), "liquidity_need": need, "has_valid_profile": True}
    return Inputs(
        kind=body.kind,
        segment=body.segment or _segment_of(body.kind),
        stage=body.stage,
        age=body.age,
        announced_withdrawal=float(body.announced_withdrawal),
        excluded=tuple(dict.fromkeys(body.excluded)),
        minimum_cash=float(body.minimum_cash),
        **answered,
    )
