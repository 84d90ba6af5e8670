"""Errors as data: every refusal is a `Problem` with a stable code, which becomes an RFC 9457 document.

The tree: `Problem` is the only class that services and routes raise. `app.main` turns it, and everything that FastAPI
raises by itself, into `application/problem+json`. Codes and their texts live in `CODES`; `docs/errors.md` lists
them and a test keeps both equal.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Code(NamedTuple):
    """What a code always means: its HTTP status and its title in English and Chinese."""

    status: int
    en: str
    zh: str


CODES: dict[str, Code] = {
    "malformed_json": Code(400, "The body is not valid JSON", "请求体不是有效的 JSON"),
    "invalid_cursor": Code(400, "The cursor is not one of this list", "游标不属于此列表"),
    "bad_request": Code(400, "The request cannot be read", "无法读取请求"),
    "unauthenticated": Code(401, "An API key is required", "需要 API 密钥"),
    "forbidden": Code(403, "The key lacks a scope", "密钥缺少权限"),
    "not_found": Code(404, "Not found", "未找到"),
    "method_not_allowed": Code(405, "This method is not offered here", "此处不支持该方法"),
    "conflict": Code(409, "The present state does not allow this", "当前状态不允许此操作"),
    "external_id_taken": Code(409, "An external id belongs to another customer", "外部编号已属于其他客户"),
    "transition_not_allowed": Code(409, "The customer cannot move to this stage", "客户不能进入该阶段"),
    "policy_published": Code(409, "The version is published and cannot change", "该版本已发布，不能更改"),
    "policy_superseded": Code(409, "A later version is in force", "已有更高版本生效"),
    "version_published": Code(409, "This version is published and cannot change", "此版本已发布，不能更改"),
    "version_superseded": Code(409, "A version with a higher number is in force", "编号更高的版本已生效"),
    "second_person_needed": Code(409, "A second person must publish this", "须由另一人发布"),
    "no_recommendation": Code(409, "There is no suitable portfolio", "没有合适的组合"),
    "action_not_open": Code(409, "The action is no longer open", "该行动已不可操作"),
    "operation_finished": Code(409, "The operation has ended", "该操作已结束"),
    "merge_not_allowed": Code(409, "These customers cannot be merged", "无法合并这些客户"),
    "merge_undone": Code(409, "The merge is undone already", "该合并已被撤销"),
    "erased": Code(410, "The customer was erased", "客户已被删除"),
    "merged": Code(410, "The customer was merged into another", "客户已合并到另一客户"),
    "stale": Code(412, "The resource has changed since it was read", "资源在读取后已变更"),
    "too_large": Code(413, "The body is too large", "请求体过大"),
    "unsupported_media_type": Code(415, "This media type is not accepted", "不接受此媒体类型"),
    "invalid": Code(422, "The request has invalid fields", "请求包含无效字段"),
    "address_refused": Code(422, "Webhooks may not be sent to this address", "不允许向该地址发送 Webhook"),
    "precondition_required": Code(428, "If-Match is required to change this resource", "修改此资源需要 If-Match"),
    "too_many_requests": Code(429, "Too many requests", "请求过多"),
    "internal": Code(500, "Something failed on our side", "服务器内部错误"),
    "unavailable": Code(503, "Not ready to serve", "服务暂不可用"),
}


class FieldProblem(BaseModel):
    """One field that is wrong."""

    model_config = ConfigDict(frozen=True)

    pointer: str = Field(description="JSON pointer into the body, or the name of a parameter or header")
    code: str = Field(description="Stable reason, for programs")
    detail: str = Field(description="Reason in words; never repeats what was sent")


class ProblemDocument(BaseModel):
    """RFC 9457 problem document."""

    type: str = Field(description="URI of this kind of problem", examples=["urn:stagefolio:problem:not_found"])
    title: str = Field(description="Short text of the code, in the language asked for")
    status: int = Field(description="HTTP status", ge=400, le=599)
    detail: str | None = Field(description="What is wrong with this request")
    instance: str = Field(description="Path of the request")
    code: str = Field(description="Stable code, for programs", examples=["not_found"])
    request_id: str = Field(description="Quote this when you ask for help")
    errors: list[FieldProblem] = Field(description="The fields that are wrong, if single ones are")
    blockers: list[dict[str, object]] | None = Field(
        description="What stands in the way, as data, where it is a state: each with a `code` and what belongs to it"
    )


@dataclass
class Problem(Exception):
    """A refusal that the caller can understand.

    `code` is one of `CODES`; `detail` a sentence for people; `errors` the fields at fault; `headers` extra response
    headers; `blockers` machine-readable obstacles of a state change.
    """

    code: str
    detail: str | None = None
    errors: list[FieldProblem] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    blockers: list[dict[str, object]] | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return CODES[self.code].status

    def __str__(self) -> str:
        return f"{self.code}: {self.detail or CODES[self.code].en}"


def invalid(pointer: str, code: str, detail: str) -> Problem:
    """A 422 about exactly one field."""
    return Problem("invalid", errors=[FieldProblem(pointer=pointer, code=code, detail=detail)])


def not_found(what: str) -> Problem:
    """A 404 that says what was looked for, without repeating the id that was sent."""
    return Problem("not_found", f"There is no such {what}.")
