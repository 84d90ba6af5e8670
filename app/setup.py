"""What a database needs before the first request: the shipped policy, playbook and all that portfolios follow from."""

from datetime import datetime

from app.allocation.versions.store import ensure_versions
from app.config import Settings
from app.db import Database
from app.lifecycle.policies import ensure_policy
from app.playbooks.service import ensure_default_playbook


async def ensure_defaults(database: Database, settings: Settings, now: datetime) -> None:
    """Publish what is shipped where nothing is published yet; changes nothing otherwise."""
    async with database.transaction() as session:
        await ensure_policy(session, settings.lifecycle_policy, now)
        await ensure_default_playbook(session, now)
        await ensure_versions(session, now)
