"""Option groups as options: a parameter that is a dataclass becomes one option for each field."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from copy import copy
from dataclasses import fields
from typing import Annotated, Any

from typer.core import TyperCommand

from normlab.cli.option_groups import OptionGroup

Verb = Callable[..., None]


def expand_groups(verb: Verb) -> Verb:
    """The verb with the fields of its option groups as parameters of their own.

    typer reads the options off the signature of what this returns; called with them, it makes the
    groups and calls the verb.

    >>> from normlab.cli.option_groups import ParallelOptions
    >>> def say(name: str, *, parallel: ParallelOptions) -> None:
    ...     print(name, parallel.jobs)
    >>> list(inspect.signature(expand_groups(say)).parameters)
    ['name', 'jobs']
    >>> expand_groups(say)("photos", jobs="auto")
    photos auto
    """
    hints = typing.get_type_hints(verb, include_extras=True)
    groups: dict[str, type[OptionGroup]] = {}
    parameters = []
    for parameter in inspect.signature(verb).parameters.values():
        annotation = hints[parameter.name]
        if isinstance(annotation, type) and issubclass(annotation, OptionGroup):
            groups[parameter.name] = annotation
            parameters += _options(annotation)
        else:
            parameters.append(parameter.replace(annotation=annotation))

    @functools.wraps(verb)
    def call(*arguments: object, **values: Any) -> None:
        made = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        verb(*arguments, **values, **made)

    expanded = inspect.Signature(parameters)
    call.__signature__ = expanded  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in expanded.parameters.values()}
    return call


class GroupedCommand(TyperCommand):
    """A command whose --help lists options under the headings of their groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then the options without a group, then group by group."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                option = parameter.param_type_name == "option"
                heading = getattr(parameter, "rich_help_panel", None) or "Options"
                sections.setdefault(heading if option else "Arguments", []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _options(group: type[OptionGroup]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(group, include_extras=True)
    found = []
    for field in fields(group):
        kind, option = typing.get_args(hints[field.name])
        option = copy(option)
        option.rich_help_panel = group.HEADING
        found.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=Annotated[kind, option],
            )
        )
    return found
