"""Shapes of customers. Requests and responses are separate models, so that generated clients keep both."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import (
    MISSING,
    AfterValidator,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    StrictBool,
    field_validator,
    model_validator,
)

from app.clock import Instant
from app.pagination import PageQuery

Kind = Literal["individual", "business"]
Segment = Literal["mass", "affluent", "high_net_worth", "small_business"]
Tier = Literal["A", "B", "C"]
KycStatus = Literal["none", "pending", "passed", "rejected"]
Suitability = Literal["none", "valid", "due", "expired"]
Hold = Literal["compliance", "deceased", "vulnerable", "dispute"]
Relationship = Literal["open", "closed"]
Stage = Literal["prospect", "trial", "growth", "mature", "decline"]
Channel = Literal["email", "in_app", "phone", "sms", "push", "wechat", "post"]
Purpose = Literal["marketing", "service", "survey"]
PlaybookMode = Literal["none", "dwell_only", "full"]

_ZONES = available_timezones()


def _zone(value: str) -> str:
    if value not in _ZONES:
        raise ValueError("not an IANA time zone")
    return value


def _birth(value: date) -> date:
    if value.year < 1880:
        raise ValueError("before 1880")
    return value


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S", description="Full name, in any script")]
Email = Annotated[EmailStr, Field(max_length=254)]
Phone = Annotated[str, Field(pattern=r"^\+?[0-9 ()./-]{5,30}$", description="With country code, as written")]
BirthOn = Annotated[date, AfterValidator(_birth), Field(description="Date of birth, or of foundation")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="BCP 47")]
Zone = Annotated[str, AfterValidator(_zone), Field(max_length=50, description="IANA time zone")]
Owner = Annotated[str, Field(min_length=1, max_length=100, description="Adviser responsible")]
Tag = Annotated[str, Field(min_length=1, max_length=60)]
Tags = Annotated[list[Tag], AfterValidator(_distinct), Field(max_length=50)]
ExternalId = Annotated[str, Field(min_length=1, max_length=100)]
ExternalIds = Annotated[list[ExternalId], AfterValidator(_distinct), Field(max_length=20)]
AttributeValue = Annotated[str, Field(max_length=1000)] | StrictBool | int | float | None
Attributes = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=60)], AttributeValue],
    Field(max_length=50, description="The institution's own fields"),
]
Holds = Annotated[list[Hold], AfterValidator(_distinct), Field(max_length=4)]


class ConsentInput(BaseModel):
    """A permission given or withdrawn, with its proof."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel
    purpose: Purpose
    granted: StrictBool
    source: Annotated[str | None, Field(max_length=200, description="Where it was given: form, call, branch")] = None
    at: Annotated[Instant | None, Field(description="When it was given; now if absent")] = None
    text_version: Annotated[str | None, Field(max_length=60, description="Version of the text agreed to")] = None


Consents = Annotated[list[ConsentInput], Field(max_length=30, description="At most one per channel and purpose")]


def _one_consent_each(consents: list[ConsentInput]) -> None:
    if len({(c.channel, c.purpose) for c in consents}) < len(consents):
        raise ValueError("two consents for the same channel and purpose")


class CustomerCreate(BaseModel):
    """A customer to create."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "individual"
    full_name: Name
    email: Email | None = None
    phone: Phone | None = None
    contact_verified: StrictBool = False
    birth_on: BirthOn | None = None
    segment: Annotated[Segment | None, Field(description="mass, or small_business for a business, if absent")] = None
    tier: Tier = "C"
    country: Country | None = None
    language: Language = "en"
    time_zone: Annotated[Zone | None, Field(description="The institution's zone if absent")] = None
    external_ids: ExternalIds = []
    owner: Owner | None = None
    tags: Tags = []
    attributes: Attributes = {}
    consents: Consents = []
    kyc_status: KycStatus = "none"
    holds: Holds = []
    stage: Annotated[Stage | None, Field(description="prospect if absent; else playbook_mode must be said")] = None
    playbook_mode: Annotated[
        PlaybookMode | None,
        Field(description="Which actions of the stage to start: none, dwell_only or full. Full for a new prospect."),
    ] = None

    @field_validator("consents")
    @classmethod
    def _consents(cls, value: list[ConsentInput]) -> list[ConsentInput]:
        _one_consent_each(value)
        return value

    @model_validator(mode="after")
    def _said(self) -> "CustomerCreate":
        if self.stage is not None and self.playbook_mode is None:
            raise ValueError("playbook_mode must be given together with stage, so that nobody is flooded with messages")
        if self.kind == "business" and self.segment not in (None, "small_business"):
            raise ValueError("a business belongs to the segment small_business")
        return self


class CustomerPatch(BaseModel):
    """JSON merge patch (RFC 7396): absent keeps, null clears where a field may be empty."""

    model_config = ConfigDict(extra="forbid")

    full_name: Name | MISSING = MISSING
    email: Email | None | MISSING = MISSING
    phone: Phone | None | MISSING = MISSING
    contact_verified: StrictBool | MISSING = MISSING
    birth_on: BirthOn | None | MISSING = MISSING
    segment: Segment | MISSING = MISSING
    tier: Tier | MISSING = MISSING
    country: Country | None | MISSING = MISSING
    language: Language | MISSING = MISSING
    time_zone: Zone | MISSING = MISSING
    external_ids: ExternalIds | MISSING = MISSING
    owner: Owner | None | MISSING = MISSING
    tags: Tags | MISSING = MISSING
    attributes: Annotated[Attributes | MISSING, Field(description="Merged key by key; a key with null is removed")] = (
        MISSING
    )
    consents: Annotated[
        Consents | MISSING, Field(description="Replaces the consents named; others stay as they are")
    ] = MISSING
    kyc_status: KycStatus | MISSING = MISSING
    holds: Holds | MISSING = MISSING
    relationship: Relationship | MISSING = MISSING

    @field_validator("consents")
    @classmethod
    def _consents(cls, value: list[ConsentInput]) -> list[ConsentInput]:
        _one_consent_each(value)
        return value


class Consent(BaseModel):
    """A permission with its proof."""

    channel: Channel
    purpose: Purpose
    granted: bool
    source: str | None
    at: datetime
    text_version: str | None


class Pin(BaseModel):
    """A stage fixed by hand."""

    until: datetime
    reason: str


class CustomerRead(BaseModel):
    """A customer. `version` is also the ETag."""

    id: UUID
    kind: Kind
    full_name: str
    email: str | None
    phone: str | None
    contact_verified: bool
    birth_on: date | None
    segment: Segment
    tier: Tier
    country: str | None
    language: str
    time_zone: str
    external_ids: list[str]
    owner: str | None
    tags: list[str]
    attributes: dict[str, Any]
    consents: list[Consent]
    kyc_status: KycStatus
    suitability: Suitability
    holds: list[Hold]
    pin: Pin | None
    relationship: Relationship
    merged_into: UUID | None = Field(description="The customer that this duplicate was merged into")
    stage: Stage
    stage_entered_at: datetime
    cycle: int = Field(description="Rises each time the customer starts anew")
    created_at: datetime
    updated_at: datetime
    version: int


class CustomerPage(BaseModel):
    """One page of customers."""

    items: list[CustomerRead]
    next_cursor: str | None = Field(description="Null on the last page")


class CustomerQuery(PageQuery):
    """Filters and sort of the list of customers. A filter given twice means either value."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    q: Annotated[
        str | None, Field(min_length=1, max_length=100, description="Part of name, e-mail, phone, or an external id")
    ] = None
    stage: Annotated[list[Stage], Field(max_length=5)] = []
    segment: Annotated[list[Segment], Field(max_length=4)] = []
    tier: Annotated[list[Tier], Field(max_length=3)] = []
    kind: Kind | None = None
    owner: Annotated[str | None, Field(max_length=100)] = None
    tag: Annotated[str | None, Field(max_length=60)] = None
    kyc_status: KycStatus | None = None
    relationship: Relationship | None = None
    external_id: Annotated[str | None, Field(max_length=100)] = None
    created_from: Annotated[Instant | None, Field(alias="created_at[gte]")] = None
    created_before: Annotated[Instant | None, Field(alias="created_at[lt]")] = None
    stage_entered_from: Annotated[Instant | None, Field(description="In the present stage since then or later")] = None
    stage_entered_before: Annotated[Instant | None, Field(description="In the present stage since before then")] = None
    sort: Literal["created_at", "-created_at", "full_name", "-full_name", "stage_entered_at", "-stage_entered_at"] = (
        "-created_at"
    )
