"""All tables in one metadata, for migrations and for the test that compares them with the database."""

import app.allocation.models
import app.auth.models
import app.customers.models
import app.lifecycle.models
import app.operations.models
import app.playbooks.models
import app.webhooks.models
from app.db import Base

metadata = Base.metadata

PARTITIONS = frozenset({"signals_default", "delivery_attempts_default"})
"""Partitions that migrations create; their parents are the mapped tables."""
