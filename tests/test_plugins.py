"""Other people's parts: found, asked for, refused in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from normlab import plugins
from normlab.errors import PlanError, PluginError, UnknownNameError
from normlab.norms import registry
from normlab.norms.registry import NORMS
from normlab.norms.spec import parse_norm
from normlab.plugins import approve, import_plugins, use_plugins
from normlab.records.plan import parse_plan, read_plan, write_plan

GOOD = """
import torch
from normlab.norms.registry import NormInfo, register
class Same(torch.nn.Identity):
    def __init__(self, channels): super().__init__()
    def forward(self, x, residual=None, activation="none"): return x
INFO = NormInfo("mine", "mine", "", "", {{}}, 0, Same)
{then}
"""


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of installed packages; norms and modules are put back afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "cache"))
    modules = set(sys.modules)
    clear()
    with registry.temporary_norms():
        yield folder
    clear()
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def clear() -> None:
    plugins._entry_points.cache_clear()
    plugins.load_group.cache_clear()


def install(site: Path, text: str, value: str, group: str = "normlab.norms") -> None:
    (site / "my_norms.py").write_text(text)
    facts = site / "my_norms-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-norms\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{group}]\nmine = {value}\n")


@pytest.mark.parametrize(
    ("then", "value"),
    [("register(INFO)", "my_norms"), ("", "my_norms:INFO"), ("register(INFO)", "my_norms:INFO")],
)
def test_an_installed_norm_is_found(site, then, value) -> None:
    install(site, GOOD.format(then=then), value)
    assert parse_norm("mine").info.code == "mine"
    assert "mine" in registry.all_norms()


def test_known_names_load_nothing(site) -> None:
    install(site, "raise RuntimeError('broken')", "my_norms")
    assert parse_norm("gn:groups=4").info.code == "gn"
    assert "my_norms" not in sys.modules


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("import no_such_library", "my_norms", "cannot be imported: ModuleNotFoundError"),
        ("raise RuntimeError('two\\nlines')", "my_norms", "RuntimeError: two lines; repair or"),
        (GOOD.format(then=""), "my_norms:NOTHING", "cannot be imported: AttributeError"),
        ("INFO = 3", "my_norms:INFO", "is not a norm: a normlab.NormInfo, but int"),
        (GOOD.format(then="").replace('"mine", "mine"', '"bn", "b"'), "my_norms:INFO", "already"),
    ],
)
def test_a_broken_package_is_one_sentence(site, text, value, reason) -> None:
    install(site, text, value)
    with pytest.raises(PluginError, match=reason) as error:
        parse_norm("mine")
    assert "\n" not in str(error.value)
    assert "my" in str(error.value)


def test_without_packages_an_unknown_norm_is_unknown(site) -> None:
    with pytest.raises(UnknownNameError, match="unknown norm 'mine'"):
        parse_norm("mine")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_library", "cannot be imported: ModuleNotFoundError: .*; install it"),
        ("from normlab import register; register(dict)", "registered as a NormInfo, got <class"),
        (GOOD.format(then="register(INFO)").replace('"mine",', '"bn",', 1), "norm 'bn' already"),
        ("syntax error", "cannot be imported: SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_used(site, text, reason) -> None:
    (site / "some_norms.py").write_text(text)
    with pytest.raises(PluginError, match=rf"the plugin 'some_norms'.*{reason}") as error:
        import_plugins(["some_norms"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["", "a b", "../evil", "my-norms", "os; import sys"])
def test_what_is_no_name_of_a_module(name) -> None:
    with pytest.raises(PluginError, match="a plugin is a module's name"):
        import_plugins([name])
    with pytest.raises(PlanError, match="a plugin is a module's name"):
        parse_plan({"name": "p", "data": {"source": "photos"}, "plugins": [name]})


def test_a_strangers_plugin_is_asked_for_once(site, tmp_path) -> None:
    (site / "some_norms.py").write_text("")
    study = tmp_path / "study"
    with pytest.raises(PluginError, match=r"names the plugin some_norms.*--trust-plugins"):
        use_plugins(["some_norms"], study, "hash")
    asked = []
    with pytest.raises(PluginError):
        use_plugins(["some_norms"], study, "hash", ask=lambda text: asked.append(text))
    assert "some_norms" not in sys.modules
    assert len(asked) == 1
    use_plugins(["some_norms"], study, "hash", ask=lambda text: True)
    assert sys.modules.pop("some_norms")
    use_plugins(["some_norms"], study, "hash")  # remembered
    assert sys.modules.pop("some_norms")
    with pytest.raises(PluginError):  # the plan was changed
        use_plugins(["some_norms"], study, "another hash")
    with pytest.raises(PluginError):
        use_plugins(["some_norms"], tmp_path / "copy", "hash")
    use_plugins(["some_norms"], study, "another hash", trusted=True)
    assert sys.modules.pop("some_norms")
    use_plugins(["some_norms"], study, "another hash")


def test_an_installed_plugin_is_not_asked_for(site, tmp_path) -> None:
    install(site, GOOD.format(then="register(INFO)"), "my_norms")
    use_plugins(["my_norms"], tmp_path, "hash")
    assert "mine" in NORMS


def test_a_file_of_approvals_that_is_damaged_is_asked_again(site, tmp_path) -> None:
    (site / "some_norms.py").write_text("")
    approve(tmp_path, "hash")
    (tmp_path / "cache" / "approved-plugins.json").write_text("[")
    with pytest.raises(PluginError):
        use_plugins(["some_norms"], tmp_path, "hash")


def test_plugins_are_part_of_the_hash_only_where_there_are_some(tmp_path) -> None:
    content = {"name": "p", "data": {"source": "photos"}}
    plain = parse_plan(content)
    named = parse_plan({**content, "plugins": ["b.c", "a", "b.c"]})
    assert named.plugins == ("b.c", "a")
    assert parse_plan({**content, "plugins": []}).hash == plain.hash != named.hash
    write_plan(plain, tmp_path / "plain.toml")
    assert "plugins" not in (tmp_path / "plain.toml").read_text()
    write_plan(named, tmp_path / "named.toml")
    assert read_plan(tmp_path / "named.toml") == named
