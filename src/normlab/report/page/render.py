"""Templates: all text is escaped, figures of our own renderer go in as they are.

Nothing in a page points outside it, and its own policy forbids it to.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jinja2
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from normlab.report.export.formats import cell_text
from normlab.stats.data.metrics import format_difference
from normlab.text import visible, visible_data

TEMPLATES = Path(__file__).with_name("templates")


def template_environment() -> jinja2.Environment:
    """The package's templates: everything is escaped, and an unknown name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["cell_text"] = cell_text
    environment.filters["json"] = _json
    environment.filters["points"] = lambda value: format_difference("accuracy", value)
    return environment


def _finalize(value: object) -> object:
    """Every value on its way into a page; markup of our own goes in as it is."""
    return visible(value, lines=True) if type(value) is str else value


def _json(value: object) -> Markup:
    """Data for the script, its texts as they would stand in the page."""
    return htmlsafe_json_dumps(visible_data(value))


def render(template: str, styles: Sequence[str], **content: object) -> str:
    """A template with its styles, the script, and the policy that lets only these two act."""
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    return (
        template_environment()
        .get_template(template)
        .render(css=stylesheet(styles), script=Markup(script), policy=policy, **content)
    )


def stylesheet(names: Sequence[str]) -> Markup:
    """The styles of a page, one after the other."""
    return Markup("\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names))
