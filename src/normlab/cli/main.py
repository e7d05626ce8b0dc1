"""The command `normlab`: its verbs, and how errors become one sentence and an exit code.

Exit codes: 0 done; 1 done, but some run failed; 2 the input cannot be used; 3 stopped, but not
finished; 130 interrupted (normlab.cli.exit_codes).
"""

from __future__ import annotations

import os
import re
import sys

import typer

from normlab.cli.exit_codes import INTERRUPTED, UNUSABLE
from normlab.cli.expand import GroupedCommand, VerbGroup
from normlab.cli.help_text import SHORT
from normlab.cli.screen.echo import echo
from normlab.cli.verbs.audit import audit
from normlab.cli.verbs.bench import bench
from normlab.cli.verbs.cache import cache
from normlab.cli.verbs.check import check
from normlab.cli.verbs.checks import checks
from normlab.cli.verbs.compare import PLAN_HELP, compare
from normlab.cli.verbs.course_report import course_report
from normlab.cli.verbs.doctor import doctor
from normlab.cli.verbs.executors import executors
from normlab.cli.verbs.explain import explain
from normlab.cli.verbs.export import export
from normlab.cli.verbs.infer import infer
from normlab.cli.verbs.networks import networks
from normlab.cli.verbs.norms import norms
from normlab.cli.verbs.predict import predict
from normlab.cli.verbs.report import report
from normlab.cli.verbs.run import run
from normlab.cli.verbs.serve import serve
from normlab.cli.verbs.slurm_submit import slurm_submit
from normlab.cli.verbs.status import status
from normlab.cli.verbs.stress import stress
from normlab.cli.verbs.track import track
from normlab.cli.verbs.train import train
from normlab.cli.verbs.verify import verify
from normlab.errors import NormlabError, shortened
from normlab.memory import is_out_of_memory, with_remedy
from normlab.study.object_store.session import with_copy
from normlab.text import visible
from normlab.train.interrupt import end_in_order

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
_VERBS = (
    *(
        check,
        compare,
        run,
        status,
        report,
        train,
        predict,
        serve,
        export,
        infer,
        course_report,
        explain,
        stress,
    ),
    *(track, verify, audit, norms, networks, checks, executors, slurm_submit, bench, cache, doctor),
)
for _verb in _VERBS:
    _name = _verb.__name__.replace("_", "-")
    app.command(_name, cls=GroupedCommand, short_help=SHORT[_name])(_verb)
app.command("plan", help=PLAN_HELP, cls=GroupedCommand, short_help=SHORT["plan"])(
    compare
)  # takes the same options, and stops before the runs


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
        with with_copy(sys.argv[1:]) as arguments:
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
            _say(f"cannot use{path}: {error.strerror or error}")
        else:
            raise
        sys.exit(UNUSABLE)


def _say(sentence: str) -> None:
    """One line on stderr, whatever the names in it hold and however long they are."""
    text = re.sub(r"\S{201,}", lambda word: shortened(word[0]), visible(sentence))
    echo(f"normlab: {shortened(text, 1200)}", err=True)


if __name__ == "__main__":
    main()
