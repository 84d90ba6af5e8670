"""Which tests need what, and a plain word about those that were left out.

These are pytest hooks; `conftest.py` imports them, which registers them.
"""

import os
import shutil
from collections import Counter

import pytest

STRICT = "STAGEFOLIO_NOTHING_LEFT_OUT"
_DATABASES = frozenset({"database_url", "engine", "live_url"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what is pure (no database, no process of its own), and skip what needs a program that is not here."""
    for item in items:
        starts_processes = hasattr(getattr(item, "module", None), "subprocess")
        if not starts_processes and _DATABASES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("pure")
        missing = [name for mark in item.iter_markers("needs") for name in mark.args if shutil.which(name) is None]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"for want of {', '.join(missing)}"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    """Where nothing may be left out, a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and os.environ.get(STRICT) and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Say what was left out and why, before the last line."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    terminalreporter.section("left out")
    for reason, count in reasons.most_common():
        verdict = f" (fails the run: {STRICT} is set)" if os.environ.get(STRICT) else ""
        terminalreporter.line(f"{count} test{'s' if count > 1 else ''}: {reason}{verdict}")
    if "not evidence" in config.option.markexpr:
        terminalreporter.line("on purpose: tests that take long or need the shared data (`make evidence`)")
    if not reasons:
        terminalreporter.line("nothing for want of a part")
