"""Option groups as options: a parameter that is a dataclass becomes one option for each field."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import re
import typing
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import fields
from typing import Annotated, Any

from typer.core import TyperCommand

from normlab.cli.help_text import EXAMPLES, FIRST, SYNONYMS
from normlab.cli.option_groups import OptionGroup
from normlab.errors import UsageError, shortened

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
    """A command with examples, the options to know first, and the others by their groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Examples, arguments, the first options, those without a group, then group by group."""
        verb = ctx.info_name
        if examples := EXAMPLES.get(verb, ()):
            with formatter.section("Examples"):
                for example in examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        first = FIRST.get(verb, ())
        start = "The first to know"
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], start: [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                option = parameter.param_type_name == "option"
                heading = getattr(parameter, "rich_help_panel", None) or "Options"
                heading = start if parameter.name in first else heading
                sections.setdefault(heading if option else "Arguments", []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The options by their names, singular or plural; for another one the near ones are named.

        Raises:
            UsageError: an option that the verb does not have.
        """
        known = [
            name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)
        ]
        try:
            rest: list[str] = super().parse_args(ctx, [_in_number(text, known) for text in args])
        except Exception as error:
            if type(error).__name__ != "NoSuchOption":  # whose home depends on typer's version
                raise refused(error, ctx.info_name) from None
            name = str(getattr(error, "option_name", ""))
            near = near_options(name, known)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(
                f"there is no option {name}; {hint}all are in: normlab {ctx.info_name} --help"
            ) from None
        for param in self.get_params(ctx):
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{param.opts[0]} takes a finite number, got {value}")
        return rest


def refused(error: Exception, verb: str | None) -> Exception:
    """An argument that is missing or of another type, in one sentence; other errors as they are.

    Its class is found by its name, since its home depends on typer's version.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if "UsageError" not in names or "NoArgsIsHelpError" in names or isinstance(error, UsageError):
        return error
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    said = " ".join(said.split()).rstrip(".") + _got(error)
    text = re.sub(r"\S{81,}", lambda long: shortened(long[0]), said)
    place = f"normlab {verb}" if verb else "normlab"
    if verb == "predict" and "unexpected extra argument" in text:
        text += "; several images are given as their folder: normlab predict STUDY FOLDER"
    return UsageError(f"{text[:1].lower()}{text[1:]}; see: {place} --help")


def _got(error: Exception) -> str:
    """The value that is wrong, where the sentence lacks it: typer's own checks are pydantic's."""
    faults = getattr(error.__cause__, "errors", None)
    return f", got {faults()[0]['input']!r}" if callable(faults) else ""


def near_options(name: str, known: Sequence[str]) -> list[str]:
    """The options that somebody may have meant, at most three.

    By another tool's name for it, by the first letters of its words, by its beginning, by letters.

    >>> near_options("--lr", ["--learning-rates", "--blocks", "--yes"])
    ['--learning-rates']
    >>> near_options("--augment", ["--augmentation", "--alpha"])
    ['--augmentation']
    """
    asked = name.lstrip("-").lower().replace("_", "-")
    words = {option.lstrip("-"): option for option in known if option.startswith("--")}
    meant = SYNONYMS.get(asked, "")
    if found := [option for word, option in words.items() if meant in (word, f"{word}s")]:
        return found[:1]
    initials = [o for w, o in words.items() if asked == "".join(part[0] for part in w.split("-"))]
    begins = [o for w, o in words.items() if len(asked) > 1 and w.startswith(asked)]
    if found := list(dict.fromkeys([*initials, *begins])):
        return found[:3]
    return [words[word] for word in difflib.get_close_matches(asked, words, n=3, cutoff=0.6)]


def _in_number(text: str, known: Sequence[str]) -> str:
    """An option in the number that the verb has it in: --norm and --norms are one.

    >>> _in_number("--norm=bn", ["--norms"]), _in_number("--norms", ["--norms"])
    ('--norms=bn', '--norms')
    """
    name, sign, value = text.partition("=")
    if not name.startswith("--") or name in known:
        return text
    other = name[:-1] if name.endswith("s") else f"{name}s"
    return f"{other}{sign}{value}" if other in known else text


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
