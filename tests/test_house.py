"""The rules of the house: what can drift is held together here."""

import ast
import asyncio
import re
from itertools import chain
from pathlib import Path

import click
import pytest
from importlinter.cli import lint_imports

from app import migrate
from app.config import Settings
from app.errors import CODES
from app.events import PUBLIC_TYPES
from app.lifecycle.core.signals import KNOWN
from app.webhooks.catalogue import MODELS
from tests.generated_pages import PAGES as GENERATED

ROOT = Path(__file__).resolve().parents[1]
CODE = sorted(chain.from_iterable((ROOT / folder).rglob("*.py") for folder in ("app", "benchmarks", "tests")))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LOCKS = sorted(ROOT.glob("*.lock"))

LONGEST_FILE = 300
LONGEST_FUNCTION = 40
EXCEPTIONS = {
    "tests/journeys/test_from_signal_to_webhook.py:"
    "test_a_first_deposit_reaches_the_adviser_the_portfolio_and_the_receiver": "one story, told in one test",
}
"""`path` or `path:function` -> why it may be longer."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def too_long(path: Path) -> dict[str, int]:
    """What in a file exceeds its cap, with its length in lines."""
    text = path.read_text()
    found = {name_of(path): len(text.splitlines())} if len(text.splitlines()) >= LONGEST_FILE else {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if lines >= LONGEST_FUNCTION:
                found[f"{name_of(path)}:{node.name}"] = lines
    return found


def test_files_and_functions_are_short_and_every_exception_is_still_needed():
    found = {}
    for path in CODE:
        found |= too_long(path)
    assert {name: lines for name, lines in found.items() if name not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) - set(found) == set()


def test_nothing_is_marked_as_unfinished():
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
    texts = [*CODE, *(ROOT / "migrations").rglob("*.py"), *PAGES, ROOT / "Makefile", ROOT / "Dockerfile"]
    assert [name_of(path) for path in texts if marks.search(path.read_text())] == []


def test_modules_import_only_what_lies_below_them(capsys):
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None)
    assert status == 0, capsys.readouterr().out


async def test_models_and_migrations_describe_the_same_database(database_url):
    await asyncio.to_thread(migrate.check, database_url)


def environment_names() -> dict[str, object]:
    """Every setting by its name in the environment, with its default."""
    return {
        str(field.validation_alias or f"STAGEFOLIO_{name.upper()}"): field.default
        for name, field in Settings.model_fields.items()
    }


@pytest.mark.parametrize(("name", "default"), environment_names().items())
def test_a_setting_is_documented_with_its_default(name, default):
    [row] = [line for line in page("settings.md").splitlines() if line.startswith(f"| `{name}` |")]
    shown = {None: "unset", (): "empty", False: "false", True: "true"}.get(default, default)
    assert f"| `{shown}` |" in row


def test_the_pages_name_no_setting_that_does_not_exist():
    named = set(re.findall(r"\bSTAGEFOLIO_[A-Z_]+\b", "".join(path.read_text() for path in PAGES)))
    of_compose_and_tests = {"STAGEFOLIO_PUBLISH", "STAGEFOLIO_NOTHING_LEFT_OUT"}
    assert named - set(environment_names()) - of_compose_and_tests == set()


def test_error_codes_are_documented_with_status_and_meaning():
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \| (.+?) \|", page("errors.md"), re.MULTILINE)
    assert {code: (int(status), text) for code, status, text in rows} == {
        code: (known.status, known.en) for code, known in CODES.items()
    }


def test_events_are_documented_with_the_fields_of_their_data():
    documented = {}
    for section in page("events.md").split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        documented[title.strip("` ")] = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert set(documented) == set(PUBLIC_TYPES)
    for name, fields in documented.items():
        data = MODELS[name].model_fields["data"].annotation.model_fields
        assert fields == {field.alias or key for key, field in data.items()} - {"customer_id", "sequence"}, name


def test_signals_are_documented():
    rows = re.findall(r"^\| (`[a-z_`, ]+) \|", page("lifecycle.md"), re.MULTILINE)
    documented = set(re.findall(r"`([a-z_]+)`", " ".join(rows)))
    assert set(KNOWN) - documented == set()


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_up_to_date(name):
    assert page(name) == GENERATED[name](), "run `make docs`"


def command_names(group: click.Group, prefix: str) -> list[str]:
    """Every command below `group` as one types it."""
    found = []
    for name, command in group.commands.items():
        typed = f"{prefix} {name}"
        found += command_names(command, typed) if isinstance(command, click.Group) else [typed]
    return found


def test_every_command_is_documented():
    from app.cli import main

    known = command_names(main, "stagefolio")
    assert known
    assert [name for name in known if name not in page("operations.md")] == []


def test_every_sweep_and_job_of_the_worker_is_documented():
    from app import worker  # importing it registers them

    known = {*worker.SWEEPS, *worker.HANDLERS}
    assert set(re.findall(r"^\| `([a-z_]+)` \| (?:sweep|job) \|", page("architecture.md"), re.MULTILINE)) == known


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    relative = [target for target in targets if not re.match(r"[a-z]+:", target)]
    broken = []
    for target in relative:
        file, _, anchor = target.partition("#")
        found = (path.parent / file) if file else path
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def anchors(path: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", LOCKS, ids=name_of)
def test_locked_dependencies_have_hashes_and_name_no_index(path):
    text = path.read_text()
    assert re.search(r"://|--index-url|--extra-index-url|--find-links|--trusted-host", text) is None
    requirements = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert requirements
    assert [r.split()[0] for r in requirements if "==" not in r.split()[0] or "--hash=sha256:" not in r] == []


def test_versions_agree_between_the_lock_files():
    pins: dict[str, dict[str, set[str]]] = {}
    for path in LOCKS:
        for name, pin in re.findall(r"^([A-Za-z0-9._-]+)(?:\[\S+\])?==([^\\\n]+)", path.read_text(), re.MULTILINE):
            pins.setdefault(path.name, {}).setdefault(name, set()).add(pin.strip())
    everything = pins["requirements-dev.lock"]
    for name in ("requirements.lock", "requirements-build.lock"):
        assert {package: versions for package, versions in pins[name].items() if everything[package] != versions} == {}
    # What benchmarks add shares packages with the rest, for fewer platforms.
    plain = {package: {pin.split(";")[0].strip() for pin in found} for package, found in everything.items()}
    added = pins["requirements-bench.lock"]
    other = {p for p, found in added.items() if not {pin.split(";")[0].strip() for pin in found} <= plain.get(p, set())}
    assert other & set(everything) == set()
    assert other
