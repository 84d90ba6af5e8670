"""Settings, read once from the environment. `docs/settings.md` lists each of them; a test keeps it complete."""

from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Everything an operator may set. Names in the environment carry the prefix STAGEFOLIO_, except DATABASE_URL."""

    model_config = SettingsConfigDict(env_prefix="STAGEFOLIO_", env_ignore_empty=True, populate_by_name=True)

    database_url: str | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL 17 or newer, postgresql://user:password@host:port/name. Unset: the embedded server.",
    )
    data_dir: Path | None = Field(default=None, description="Folder of the embedded server and of generated secrets.")
    secret_key: str | None = Field(
        default=None,
        min_length=32,
        description="Keys the hashes of API keys; 32 characters or more. Unset, with the embedded server: generated.",
    )
    zone: str = Field(default="UTC", description="Time zone of the institution: where its days begin and end.")
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$", description="Currency of all amounts (ISO 4217).")
    lifecycle_policy: Literal["wealth", "retail_bank"] = Field(
        default="wealth", description="The shipped policy that a new database starts with."
    )
    policy_four_eyes: bool = Field(
        default=False,
        description="Refuse to publish a lifecycle policy, or what portfolios follow from, with the key that made or last"
        " changed it.",
    )
    webhook_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Networks (CIDR, comma separated) that webhooks may reach although they are internal."
    )
    webhook_allow_http: bool = Field(default=False, description="Let webhooks go over plain HTTP (development).")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")
    pool_size: int = Field(default=10, ge=2, le=100, description="Database connections of each engine of a process.")
    max_body_bytes: int = Field(default=4_000_000, ge=10_000, description="Largest request body accepted, in bytes.")
    worker_concurrency: int = Field(default=20, ge=2, le=200, description="Jobs a worker process runs at once.")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        ZoneInfo(value)
        return value

    @field_validator("webhook_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("webhook_allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ip_network(part)
        return value

    @cached_property
    def tz(self) -> ZoneInfo:
        """The institution's zone, in which `customer_day` cuts its days."""
        return ZoneInfo(self.zone)
