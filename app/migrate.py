"""Brings a database to the newest schema."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config


def migrations_folder() -> Path:
    """The folder of revisions: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).parent
    beside = package.parent / "migrations"
    return beside if (beside / "env.py").exists() else package / "_migrations"


def alembic_config(url: str) -> Config:
    """Alembic's configuration for `url`, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Apply every missing revision. Safe to call from several processes at once: the second waits."""
    command.upgrade(alembic_config(url), "head")


def check(url: str) -> None:
    """Raise if the models and the database differ."""
    command.check(alembic_config(url))


async def upgrade_async(url: str) -> None:
    """`upgrade` from code that already runs an event loop."""
    await asyncio.to_thread(upgrade, url)
