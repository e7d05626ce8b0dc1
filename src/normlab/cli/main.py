"""The command `normlab`: its verbs, and how errors become one sentence and an exit code.

A verb is the function of its name in the module of its name in normlab.cli.verbs, which is imported
when it is asked for: `normlab --help` needs none of them.

Exit codes: 0 done; 1 done, but some run failed; 2 the input cannot be used; 3 stopped, but not
finished; 130 interrupted (normlab.cli.exit_codes).
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from normlab.cli.exit_codes import INTERRUPTED, UNUSABLE
from normlab.cli.help_text import ABOUT, SHORT, VERBS
from normlab.cli.screen.echo import echo
from normlab.errors import NormlabError, UsageError, shortened, write_remedy
from normlab.memory import is_out_of_memory, with_remedy
from normlab.text import visible
from normlab.train.interrupt import end_in_order


class Verbs(dict[str, Any]):
    """Name → command: the function of that name in the module of that name in normlab.cli.verbs."""

    def __init__(self, names: Iterable[str]) -> None:
        """With commands that are made when they are asked for."""
        super().__init__(dict.fromkeys(names))

    def __getitem__(self, name: str) -> Any:
        """The command."""
        if super().__getitem__(name) is None:
            self[name] = _command(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The command, where there is one."""
        if name not in self:
            return default
        return self[name]

    def values(self) -> Any:
        """All commands."""
        return {name: self[name] for name in self}.values()


def find_verb(name: str) -> Callable[..., None]:
    """The function of a verb, with its options as parameters; plan is compare, and stops early."""
    verb = ("compare" if name == "plan" else name).replace("-", "_")
    found: Callable[..., None] = getattr(import_module(f"normlab.cli.verbs.{verb}"), verb)
    return found


def _command(name: str) -> Any:
    from normlab.cli.expand import GroupedCommand

    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    about, short = ABOUT.get(name), SHORT[name]
    alone.command(name, cls=GroupedCommand, short_help=short, help=about)(find_verb(name))
    return typer.main.get_command(alone)


class VerbGroup(TyperGroup):
    """The tool itself: verbs under headings, each imported when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        """With all verbs that have a line in the help."""
        super().__init__(**attributes)
        self.commands = Verbs(SHORT)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, without importing anything."""
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What stands before the verb.

        Raises:
            UsageError: an option that the tool does not have.
        """
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except Exception as error:
            if type(error).__name__ == "Exit":  # of --help, which imports nothing more
                raise
            from normlab.cli.expand import refused

            raise refused(error, None) from None
        return rest

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that the first argument names.

        Raises:
            UsageError: there is none.
        """
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            near = difflib.get_close_matches(args[0][:40], self.commands, n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(
                f"there is no verb {shortened(repr(args[0]))}; {hint}all are in: normlab --help"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One list a heading, in the order of the headings."""
        left = dict.fromkeys(self.list_commands(ctx))
        for number, (heading, verbs) in enumerate(VERBS.items(), start=1):
            chosen = [verb for verb in verbs if verb in left]
            left = {verb: None for verb in left if verb not in chosen}
            chosen += list(left) if number == len(VERBS) else []
            rows = [(verb, SHORT[verb]) for verb in chosen]
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=12)


app = typer.Typer(
    name="normlab",
    cls=VerbGroup,
    help="Which normalization should your network use, how sure is that, and why.\n\n"
    "Begin with: normlab compare photos/ (a folder per class), or normlab compare --demo",
    epilog="normlab VERB --help has examples. Exit codes: 0 done, 1 some run failed, "
    "2 unusable input, 3 stopped but not finished, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from normlab._version import __version__

        echo(f"normlab {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command; a NormlabError is one sentence on stderr and exit code 2."""
    # OpenMP's threads spin while they wait for each other. Where another program has one of the
    # cores, they wait for a thread that is not running, and training takes twenty times as long.
    # Some ten microseconds of spinning keep nine tenths of the speed of an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if sys.argv[1:2] and sys.argv[1] in ("run", "compare", "train", "plan"):
        end_in_order()  # before the slow imports; a study that runs listens for itself
    try:
        with _with_copy(sys.argv[1:]) as arguments:
            # whatever program calls it: `python -m normlab`, a test
            app(arguments, prog_name="normlab")
    except NormlabError as error:
        _say(str(error))
        sys.exit(UNUSABLE)
    except KeyboardInterrupt:
        echo("normlab: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if is_out_of_memory(error):
            _say(with_remedy(error))
        elif isinstance(error, OSError):  # a disk or a folder that refuses: no defect of normlab
            path = f" {error.filename}" if error.filename else ""
            _say(f"cannot use{path}: {error.strerror or error}; {write_remedy(error)}")
        else:
            raise
        sys.exit(UNUSABLE)


def _with_copy(arguments: list[str]) -> contextlib.AbstractContextManager[list[str]]:
    """The arguments, with a folder of this machine in the place of an object store's address."""
    if not any("://" in argument for argument in arguments):
        return contextlib.nullcontext(arguments)
    from normlab.study.object_store.session import with_copy

    return with_copy(arguments)


def _say(sentence: str) -> None:
    """One line on stderr, whatever the names in it hold and however long they are."""
    text = re.sub(r"\S{201,}", lambda word: shortened(word[0]), visible(sentence))
    echo(f"normlab: {shortened(text, 1200)}", err=True)


if __name__ == "__main__":
    main()
