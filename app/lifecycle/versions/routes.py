"""Versions of the policy over HTTP: drafts, checks, differences, pictures, publication; and the facts for editors."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response

from app.auth.deps import needs
from app.auth.service import Principal
from app.deps import (
    IfMatch,
    IfNoneMatch,
    NowDep,
    ReadDep,
    SessionDep,
    SettingsDep,
    StrictRoute,
    etag,
    json_response,
    problems,
    require_match,
    unchanged,
)
from app.lifecycle.explaining.wording import Voice, language_of
from app.lifecycle.models import LifecyclePolicy
from app.lifecycle.versions import drafts
from app.lifecycle.versions import reading as policy_reading
from app.lifecycle.versions.diagram import mermaid
from app.lifecycle.versions.drawing import drawing
from app.lifecycle.versions.reading import tag_of
from app.lifecycle.versions.review import Remark, problems_of, warnings_of
from app.lifecycle.versions.rollout import KIND
from app.lifecycle.versions.schemas import (
    DiagramQuery,
    DiffQuery,
    FactList,
    PolicyCheck,
    PolicyCheckRequest,
    PolicyDifference,
    PolicyDraftCreate,
    PolicyDraftReplace,
    PolicyList,
    PolicyListQuery,
    PolicyPublish,
    PolicyRead,
)
from app.operations.reading import read_operation
from app.operations.routes import accepted
from app.operations.schemas import OperationRead
from app.operations.service import begin

router = APIRouter(prefix="/v1/lifecycle", tags=["Lifecycle"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("lifecycle:read")]
Writer = Annotated[Principal, needs("policies:write")]
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
Language = Annotated[str, Header(alias="Accept-Language", max_length=200, description="zh or en")]
_CHANGE = ("not_found", "policy_published", "stale", "precondition_required")
_PICTURES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture",
        "content": {"text/plain": {"schema": {"type": "string"}}, "image/svg+xml": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/policies",
    status_code=201,
    response_model=PolicyRead,
    summary="Create a draft of the policy",
    responses=problems("malformed_json"),
)
async def create_policy_draft(body: PolicyDraftCreate, session: SessionDep, now: NowDep, principal: Writer) -> Response:
    """A draft changes nothing for anybody. The document is checked whole; each problem is told by its pointer."""
    draft = await drafts.create_draft(
        session,
        name=body.name,
        document=body.document.plain() if body.document else None,
        note=body.note,
        based_on=body.based_on,
        actor=principal.actor,
        now=now,
    )
    return await _draft(session, draft, 201, Location=f"/v1/lifecycle/policies/{draft.version}")


async def _draft(session: SessionDep, draft: LifecyclePolicy, status: int = 200, **headers: str) -> Response:
    shape, tag = await policy_reading.read_version(session, draft.version)
    return json_response(shape, status, {"ETag": etag(tag), **headers})


@router.get(
    "/policies",
    response_model=PolicyList,
    summary="List versions of the policy",
    responses=problems("invalid_cursor"),
)
async def list_policies(query: Annotated[PolicyListQuery, Query()], connection: ReadDep, _: Reader) -> Response:
    """Newest first; the published one with the highest version is in force."""
    items, cursor = await policy_reading.list_versions(connection, query)
    return json_response({"items": items, "next_cursor": cursor})


@router.post(
    "/policies/validate", response_model=PolicyCheck, summary="Check a policy", responses=problems("malformed_json")
)
async def validate_policy(body: PolicyCheckRequest, _: Reader) -> Response:
    """Says what a draft of the document would be refused for, and what looks like a slip; nothing is stored."""
    document = body.document.plain()
    found = problems_of(document)
    warnings = [] if found else warnings_of(document)
    return json_response({"valid": not found, "problems": _remarks(found), "warnings": _remarks(warnings)})


def _remarks(remarks: list[Remark]) -> list[dict[str, Any]]:
    return [{**remark._asdict(), "pointer": drafts.IN_BODY + remark.pointer} for remark in remarks[:100]]


@router.get(
    "/policies/{version}",
    response_model=PolicyRead,
    summary="Read a version of the policy",
    responses={**problems("not_found"), 304: {"description": "Unchanged since the ETag sent"}},
)
async def get_policy(
    version: VersionPath, connection: ReadDep, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """The whole document: every rule with its conditions and the reason for its numbers."""
    shape, tag = await policy_reading.read_version(connection, version)
    if unchanged(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": etag(tag)})
    return json_response(shape, 200, {"ETag": etag(tag)})


@router.put(
    "/policies/{version}",
    response_model=PolicyRead,
    summary="Replace a draft of the policy",
    responses=problems("malformed_json", *_CHANGE),
)
async def replace_policy_draft(
    version: VersionPath,
    body: PolicyDraftReplace,
    session: SessionDep,
    now: NowDep,
    principal: Writer,
    if_match: IfMatch = None,
) -> Response:
    """Drafts only: what is published never changes."""
    draft = await drafts.open_draft(session, version)
    require_match(if_match, tag_of(draft.revision, draft.digest))
    await drafts.replace_draft(
        session,
        draft,
        name=body.name,
        document=body.document.plain(),
        note=body.note,
        actor=principal.actor,
        now=now,
    )
    return await _draft(session, draft)


@router.delete(
    "/policies/{version}", status_code=204, summary="Delete a draft of the policy", responses=problems(*_CHANGE)
)
async def delete_policy_draft(version: VersionPath, session: SessionDep, _: Writer, if_match: IfMatch = None) -> None:
    """Drafts only. The number of the newest one can be given again."""
    draft = await drafts.open_draft(session, version)
    require_match(if_match, tag_of(draft.revision, draft.digest))
    await session.delete(draft)


@router.post(
    "/policies/{version}/publish",
    status_code=202,
    response_model=OperationRead,
    summary="Publish a draft of the policy",
    responses=problems("malformed_json", *_CHANGE, "policy_superseded", "second_person_needed", "conflict"),
)
async def publish_policy(
    version: VersionPath,
    body: PolicyPublish,
    session: SessionDep,
    now: NowDep,
    settings: SettingsDep,
    principal: Writer,
    if_match: IfMatch = None,
) -> Response:
    """From now on the version is in force, and new customers begin with it.

    An operation `policy_rollout` reaches the others one after the other: what was due before is decided by their former
    rules, then they are judged by the new ones. Its result lists who was moved, by rule.
    """
    draft = await drafts.begin_publishing(session, version)
    require_match(if_match, tag_of(draft.revision, draft.digest))
    await drafts.publish_draft(session, draft, actor=principal.actor, four_eyes=settings.policy_four_eyes, now=now)
    params = {"version": version, **body.model_dump()}
    operation_id = await begin(session, KIND, params, principal.actor, now)
    return accepted(await read_operation(session, operation_id))


@router.post(
    "/policies/{version}/rollout",
    status_code=202,
    response_model=OperationRead,
    summary="Roll out the policy in force once more",
    responses=problems("malformed_json", "not_found", "conflict", "policy_superseded"),
)
async def repeat_policy_rollout(
    version: VersionPath, body: PolicyPublish, session: SessionDep, now: NowDep, principal: Writer
) -> Response:
    """For whom it does not apply to yet, after a rollout that was cancelled or failed. One rollout runs at a time."""
    await drafts.refuse_rollout(session, version)
    params = {"version": version, **body.model_dump()}
    operation_id = await begin(session, KIND, params, principal.actor, now)
    return accepted(await read_operation(session, operation_id))


@router.get(
    "/policies/{version}/diff",
    response_model=PolicyDifference,
    summary="Compare two versions of the policy",
    responses=problems("not_found"),
)
async def diff_policies(
    version: VersionPath,
    query: Annotated[DiffQuery, Query()],
    connection: ReadDep,
    settings: SettingsDep,
    _: Reader,
    language: Language = "en",
) -> Response:
    """What changes from `against` to this version, down to single thresholds, as data and in words."""
    voice = Voice(language_of(language), settings.currency, settings.tz)
    return json_response(await policy_reading.compare(connection, version, query.against, voice))


@router.get(
    "/policies/{version}/diagram",
    response_class=Response,
    summary="Draw a version of the policy",
    responses={**_PICTURES, **problems("not_found", "conflict")},
)
async def draw_policy(
    version: VersionPath,
    query: Annotated[DiagramQuery, Query()],
    connection: ReadDep,
    settings: SettingsDep,
    _: Reader,
) -> Response:
    """A state diagram: the stages, and each rule with its condition in few words. As Mermaid source, or drawn as SVG."""
    policy = await policy_reading.read_policy(connection, version)
    voice = Voice(query.language, settings.currency, settings.tz)
    if query.format == "mermaid":
        return Response(mermaid(policy, voice), media_type="text/plain")
    # Opened by itself in a browser, the picture may use its own style and nothing else.
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(drawing(policy, voice), media_type="image/svg+xml", headers=headers)


@router.get("/facts", response_model=FactList, summary="List facts", responses=problems())
async def list_facts(settings: SettingsDep, _: Reader, language: Language = "en") -> Response:
    """Everything that rules may read, with what each can be compared with."""
    voice = Voice(language_of(language), settings.currency, settings.tz)
    return json_response({"items": policy_reading.facts(voice)})
