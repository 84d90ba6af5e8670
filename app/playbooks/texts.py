"""The texts of actions: Jinja2 templates in a sandbox. Pure.

Templates may use `name`, `adviser`, `tier`, `stage` and `cause`; anything else is refused when a playbook is read. The
result is plain text: whoever shows it as HTML escapes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field

LANGUAGES = ("en", "zh")

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    autoescape=False,
    keep_trailing_newline=False,
)
_ENVIRONMENT.globals.clear()  # no range(), so that no template can run for long

_STAGES: Mapping[str, Mapping[str, str]] = {
    "en": {"prospect": "prospect", "trial": "trial", "growth": "growth", "mature": "mature", "decline": "decline"},
    "zh": {"prospect": "潜在客户", "trial": "试用期", "growth": "成长期", "mature": "成熟期", "decline": "衰退期"},
}
_TEAM: Mapping[str, str] = {"en": "our advisory team", "zh": "我们的顾问团队"}


class Text(BaseModel):
    """One text in one language: a subject line and a body, both templates in a definition, both plain afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Annotated[str, Field(min_length=1, max_length=200)]
    body: Annotated[str, Field(min_length=1, max_length=5000)]


class Content(BaseModel):
    """The texts of an action in every language that ships."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: Text
    zh: Text


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a text speaks to or about: the customer's name and tier, the adviser, the stage, what caused the action."""

    name: str
    tier: str
    adviser: str | None
    stage: str
    cause: str | None


@lru_cache(maxsize=2000)
def _template(source: str) -> Template:
    return _ENVIRONMENT.from_string(source)


def language_of(tag: str) -> str:
    """The language that a customer with BCP 47 `tag` reads: zh for every Chinese, otherwise en."""
    return "zh" if tag.lower().split("-", maxsplit=1)[0] == "zh" else "en"


def render(text: Text, language: str, reader: Reader) -> Text:
    """The text for `reader`. Raises jinja2.TemplateError if a template fails."""
    values = {
        "name": reader.name,
        "tier": reader.tier,
        "adviser": reader.adviser or _TEAM[language],
        "stage": _STAGES[language].get(reader.stage, reader.stage),
        "cause": reader.cause or "",
    }
    subject = " ".join(_template(text.subject).render(values).split())
    return Text.model_construct(subject=subject, body=_template(text.body).render(values).strip())


def render_all(content: Content, languages: Iterable[str], reader: Reader) -> dict[str, dict[str, str]] | None:
    """The texts for `reader` by language; None if a template fails."""
    try:
        return {name: render(getattr(content, name), name, reader).model_dump() for name in languages}
    except TemplateError:
        return None


_SAMPLE = Reader(name="Li Wei", tier="A", adviser=None, stage="growth", cause=None)


def template_problem(source: str, language: str) -> str | None:
    """Why `source` is no usable template, or None."""
    try:
        render(Text.model_construct(subject=source, body=source), language, _SAMPLE)
    except TemplateError as error:
        return error.message or "The template cannot be rendered."
    except Exception:  # noqa: BLE001 - a template may fail in any way that Python can; each makes it unusable
        return "The template cannot be rendered."
    return None
