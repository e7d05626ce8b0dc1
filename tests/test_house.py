"""How the house is built: short files and functions, small rooms, no circles.

Who may import whom is a contract of import-linter in pyproject.toml (`make lint`), which looks at
packages; circles are looked for here too, between single modules.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "normlab"
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
MODULES_OF_A_FOLDER = 15

LONGER_FUNCTIONS: dict[str, str] = {}
"""file::function, and why it is longer than the others may be."""


CROWDED_FOLDERS = {"cli/verbs": "one small file a verb, named after it"}
"""Folders with more modules than others may have, and why."""


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, int]]:
    """The qualified name of every function, and its lines from `def` to its end.

    Decorators do not count, nor does the docstring: neither has to be held in mind to read it.
    """
    for node in ast.iter_child_nodes(tree):
        name = f"{inside}{getattr(node, 'name', '')}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            )
            docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            yield name, (node.end_lineno or 0) - node.lineno + 1 - docstring
        scope = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from functions(node, f"{name}." if scope else inside)


def long_functions(tree: ast.AST) -> dict[str, int]:
    return {name: lines for name, lines in functions(tree) if lines > LINES_OF_A_FUNCTION}


def test_a_long_function_is_found() -> None:
    body = "\n".join(["        x = 1"] * LINES_OF_A_FUNCTION)
    long = f"class A:\n    def long(self):\n        '''Not\n        counted.'''\n{body}\n"
    assert long_functions(ast.parse(long)) == {"A.long": LINES_OF_A_FUNCTION + 1}
    short = long.replace("        x = 1\n", "", 1)
    assert long_functions(ast.parse(short)) == {}


def test_no_function_is_long_without_a_reason() -> None:
    found: dict[str, int] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        with tokenize.open(path) as file:
            tree = ast.parse(file.read())
        where = path.relative_to(SOURCE).as_posix()
        found |= {f"{where}::{name}": n for name, n in long_functions(tree).items()}
    unexplained = {name: lines for name, lines in found.items() if name not in LONGER_FUNCTIONS}
    assert unexplained == {}, f"over {LINES_OF_A_FUNCTION} lines; divide them"
    assert set(LONGER_FUNCTIONS) <= set(found), "a reason for a function that is short or gone"


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "examples", "docs"])
def test_no_file_is_long(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    lines = {p.relative_to(ROOT).as_posix(): len(p.read_text("utf-8").splitlines()) for p in paths}
    assert {name: n for name, n in lines.items() if n > LINES_OF_A_FILE} == {}


def test_no_folder_is_crowded() -> None:
    modules = [path for path in SOURCE.rglob("*.py") if path.name != "__init__.py"]
    count = Counter(path.parent.relative_to(SOURCE).as_posix() for path in modules)
    crowded = {name: n for name, n in count.items() if n > MODULES_OF_A_FOLDER}
    assert {name: n for name, n in crowded.items() if name not in CROWDED_FOLDERS} == {}


def import_cycle(imports: Mapping[str, Set[str]]) -> list[str]:
    """One cycle of modules that import each other; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_cycle_is_found() -> None:
    assert set(import_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert import_cycle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_no_modules_import_each_other() -> None:
    """Imports inside of functions count, too: they would only hide it."""
    graph = grimp.build_graph("normlab", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert len(imports) > 200
    assert import_cycle(imports) == []


def undefined_names(folders: list[Path]) -> list[str]:
    """What ruff calls undefined outside of strings: inside, they are shapes for jaxtyping."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
    command = [ruff, "check", "--isolated", "--select", "F821", "--output-format", "json"]
    answer = subprocess.run([*command, *folders], capture_output=True, text=True, check=False)
    found = []
    for fault in json.loads(answer.stdout):
        at = (fault["location"]["row"], fault["location"]["column"] - 1)
        with tokenize.open(fault["filename"]) as file:
            tokens = list(tokenize.generate_tokens(file.readline))
        if not any(t.type == tokenize.STRING and t.start <= at < t.end for t in tokens):
            found.append(f"{fault['filename']}:{at[0]}: {fault['message']}")
    return found


def test_an_undefined_name_is_found_and_a_shape_is_not(tmp_path: Path) -> None:
    code = "def f(x: Float[Tensor, 'n c h w']) -> None: return forgotten\n"
    (tmp_path / "a.py").write_text("from jaxtyping import Float\nfrom torch import Tensor\n" + code)
    (found,) = undefined_names([tmp_path])
    assert "forgotten" in found


def test_no_name_is_undefined() -> None:
    """`make lint` cannot say it: shapes in strings look like names to ruff and to mypy."""
    folders = [ROOT / name for name in ("src", "tests", "benchmarks", "examples")]
    assert undefined_names(folders) == []
