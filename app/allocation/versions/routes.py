"""Versions of what portfolios follow from, over HTTP: one set of routes for each of the four kinds."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Query, Response

from app.allocation.engine.problems import Problem as DocumentProblem
from app.allocation.versions import drafts, schemas
from app.allocation.versions.reading import compare, list_versions, read_version, tag_of
from app.allocation.versions.resources import COLLECTIONS, Collection
from app.allocation.versions.review import Finding, problems_of, repair_of
from app.allocation.versions.store import Kind
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

router = APIRouter(prefix="/v1/allocation", tags=["Allocation"], route_class=StrictRoute)

Reader = Annotated[Principal, needs("allocation:read")]
Writer = Annotated[Principal, needs("assumptions:write")]
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
Endpoint = Callable[..., Any]
_WRITTEN = schemas.AllocationVersionWritten
_UNMODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Unchanged since the ETag sent"}}
_CHANGE = ("not_found", "version_published", "stale", "precondition_required")


def _told(found: Sequence[DocumentProblem]) -> list[dict[str, Any]]:
    return [{"pointer": drafts.IN_BODY + p.pointer, "code": p.code, "detail": p.detail} for p in found]


def _warned(found: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "pointer": drafts.IN_BODY + f.pointer,
            "code": f.code,
            "detail": f.detail,
            "blocks_publishing": f.blocks_publishing,
        }
        for f in found
    ]


async def _written(
    session: SessionDep, kind: Kind, version: int, found: Sequence[Finding], status: int = 200, **headers: str
) -> Response:
    shape, tag = await read_version(session, kind, version)
    return json_response({**shape, "warnings": _warned(found)}, status, {"ETag": etag(tag), **headers})


def _create(c: Collection) -> Endpoint:
    async def create(body: Any, session: SessionDep, now: NowDep, principal: Writer) -> Response:
        draft = await drafts.create_draft(
            session,
            c.kind,
            name=body.name,
            document=body.document.plain() if body.document else None,
            note=body.note,
            based_on=body.based_on,
            actor=principal.actor,
            now=now,
        )
        found = await drafts.judge(session, c.kind, draft.body)
        location = f"{router.prefix}{c.path}/{draft.version}"
        return await _written(session, c.kind, draft.version, found, 201, Location=location)

    create.__annotations__["body"] = c.create
    return create


def _list(c: Collection) -> Endpoint:
    async def listed(
        query: Annotated[schemas.AllocationVersionQuery, Query()], connection: ReadDep, _: Reader
    ) -> Response:
        items, cursor = await list_versions(connection, c.kind, query)
        return json_response({"items": items, "next_cursor": cursor})

    return listed


def _validate(c: Collection) -> Endpoint:
    async def validate(body: Any, connection: ReadDep, _: Reader) -> Response:
        document = body.document.plain()
        found = await asyncio.to_thread(problems_of, c.kind, document)
        warnings = [] if found else await drafts.judge(connection, c.kind, document)
        repair = None if found else repair_of(c.kind, document)
        told = {"problems": _told(found), "warnings": _warned(warnings), "repair": repair}
        return json_response({"valid": not found, **told})

    validate.__annotations__["body"] = c.check
    return validate


def _get(c: Collection) -> Endpoint:
    async def get(version: VersionPath, connection: ReadDep, _: Reader, if_none_match: IfNoneMatch = None) -> Response:
        shape, tag = await read_version(connection, c.kind, version)
        if unchanged(if_none_match, tag):
            return Response(status_code=304, headers={"ETag": etag(tag)})
        return json_response(shape, 200, {"ETag": etag(tag)})

    return get


def _replace(c: Collection) -> Endpoint:
    async def replace(
        version: VersionPath,
        body: Any,
        session: SessionDep,
        now: NowDep,
        principal: Writer,
        if_match: IfMatch = None,
    ) -> Response:
        draft = await drafts.open_draft(session, c.kind, version)
        require_match(if_match, tag_of(draft.revision, draft.digest))
        await drafts.replace_draft(
            session,
            draft,
            c.kind,
            name=body.name,
            document=body.document.plain(),
            note=body.note,
            actor=principal.actor,
            now=now,
        )
        return await _written(session, c.kind, version, await drafts.judge(session, c.kind, draft.body))

    replace.__annotations__["body"] = c.replace
    return replace


def _delete(c: Collection) -> Endpoint:
    async def delete(version: VersionPath, session: SessionDep, _: Writer, if_match: IfMatch = None) -> None:
        draft = await drafts.open_draft(session, c.kind, version)
        require_match(if_match, tag_of(draft.revision, draft.digest))
        await session.delete(draft)

    return delete


def _publish(c: Collection) -> Endpoint:
    async def publish(
        version: VersionPath,
        session: SessionDep,
        now: NowDep,
        settings: SettingsDep,
        principal: Writer,
        if_match: IfMatch = None,
    ) -> Response:
        draft = await drafts.begin_publishing(session, c.kind, version)
        require_match(if_match, tag_of(draft.revision, draft.digest))
        four_eyes = settings.policy_four_eyes
        found = await drafts.publish_draft(session, draft, c.kind, actor=principal.actor, four_eyes=four_eyes, now=now)
        return await _written(session, c.kind, version, found)

    return publish


def _diff(c: Collection) -> Endpoint:
    async def diff(
        version: VersionPath, query: Annotated[schemas.AllocationDiffQuery, Query()], connection: ReadDep, _: Reader
    ) -> Response:
        return json_response(await compare(connection, c.kind, version, query.against))

    return diff


class _Route(NamedTuple):
    """One route of every collection. What stands in braces is taken from the collection."""

    method: str
    path: str
    endpoint: Callable[[Collection], Endpoint]
    name: str
    summary: str
    description: str
    options: dict[str, Any]


_ROUTES = (
    _Route(
        "POST",
        "",
        _create,
        "create_{one}_draft",
        "Create a draft of {words}",
        "A draft changes nothing for anybody. The document is checked whole; each problem is told by its pointer. "
        "`warnings` say how it goes together with what is in force.",
        {"response_model": _WRITTEN, "status_code": 201, "responses": problems("malformed_json")},
    ),
    _Route(
        "GET",
        "",
        _list,
        "list_{many}",
        "List versions of {words}",
        "Newest first; the published one with the highest version is in force.",
        {"response_model": schemas.AllocationVersionList, "responses": problems("invalid_cursor")},
    ),
    _Route(
        "POST",
        "/validate",
        _validate,
        "validate_{one}",
        "Check a document of {words}",
        "Says what a draft of it would be refused for, and what publishing it would meet; nothing is stored.",
        {"response_model": schemas.AllocationVersionCheck, "responses": problems("malformed_json")},
    ),
    _Route(
        "GET",
        "/{version}",
        _get,
        "{get}",
        "Read a version of {words}",
        "The whole document, and what is changed about its correlations when it is used.",
        {"response_model": schemas.AllocationVersionRead, "responses": {**problems("not_found"), **_UNMODIFIED}},
    ),
    _Route(
        "PUT",
        "/{version}",
        _replace,
        "replace_{one}_draft",
        "Replace a draft of {words}",
        "Drafts only: what is published never changes.",
        {"response_model": _WRITTEN, "responses": problems("malformed_json", *_CHANGE)},
    ),
    _Route(
        "DELETE",
        "/{version}",
        _delete,
        "delete_{one}_draft",
        "Delete a draft of {words}",
        "Drafts only. The number of the newest one can be given again.",
        {"status_code": 204, "responses": problems(*_CHANGE)},
    ),
    _Route(
        "POST",
        "/{version}/publish",
        _publish,
        "publish_{one}",
        "Publish a draft of {words}",
        "In force from now on, for everybody. Refused where it does not go together with the other documents in force, "
        "or would leave customers without a portfolio: `blockers` then names whom, and the limits in conflict.",
        {
            "response_model": _WRITTEN,
            "responses": problems(*_CHANGE, "version_superseded", "second_person_needed", "conflict"),
        },
    ),
    _Route(
        "GET",
        "/{version}/diff",
        _diff,
        "diff_{many}",
        "Compare two versions of {words}",
        "What changes from `against` to this version, value by value.",
        {"response_model": schemas.AllocationDifference, "responses": problems("not_found")},
    ),
)

for collection in COLLECTIONS:
    terms = {name: getattr(collection, name) for name in ("one", "many", "get", "words")}
    for route in _ROUTES:
        router.add_api_route(
            collection.path + route.path,
            route.endpoint(collection),
            methods=[route.method],
            name=route.name.format(**terms),
            summary=route.summary.format(**terms),
            description=route.description,
            **route.options,
        )
