"""The one plugin that is named is loaded, once, and checked; what it raises is told with its distribution's name."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vault_core.errors import ConfigError, PluginConflict, PluginError, PluginLoadError, PluginNotFound, VaultError
from vault_core.plugins import loader
from vault_core.plugins.discovery import KINDS, AvailablePlugin, normalise
from vault_core.plugins.install_hint import OURS, STANDARD, install_hint
from vault_core.plugins.loader import _HOOKS, Plugins

HEAD = """
    from vault_core.api import *
    def opener(ctx): raise AssertionError
    def storage(name): return StorageSpec(name=name, summary="s", open=opener)
    def source(name): return PassphraseSourceSpec(name=name, summary="s", open=opener)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path; whatever is imported from it is forgotten, and standard output stays the test's."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def install(folder: Path, distribution: str, entries: str, **modules: str) -> None:
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(textwrap.dedent(entries))
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(HEAD) + textwrap.dedent(source))


def test_load_imports_only_the_named_module_once(folder: Path) -> None:
    entries = (
        "[vault.storage.v1]\naa = loader_aa\nab = loader_aa\nbb = loader_bb\n[vault.passphrase.v1]\naa = loader_aa\n"
    )
    install(
        folder,
        "some",
        entries,
        loader_aa="""
            count = 0
            @hookimpl
            def vault_storage_backends(): return (storage("aa"), storage("ab"))
            @hookimpl
            def vault_passphrase_sources(): return [source("aa")]
        """,
        loader_bb="raise SystemExit",
    )
    plugins = Plugins()
    spec = plugins.load("storage", "aa")
    assert spec.name == "aa"
    assert plugins.load("storage", "aa") is spec
    assert plugins.load("storage", "ab").name == "ab"
    assert type(plugins.load("passphrase", "aa")).__name__ == "PassphraseSourceSpec"
    assert "loader_bb" not in sys.modules


def test_load_calls_hook_of_named_module_only(folder: Path) -> None:
    """``cc`` is offered by both modules' hooks, and by the metadata of one distribution alone."""
    hook = """
        @hookimpl
        def vault_storage_backends(): return (storage("cc"), storage({!r}))
    """
    install(
        folder,
        "good",
        "[vault.storage.v1]\ncc = loader_cc\n",
        loader_cc="@hookimpl\ndef vault_storage_backends(): return ()",
    )
    install(folder, "bad", "[vault.storage.v1]\ndd = loader_dd\n", loader_dd=textwrap.dedent(hook).format("dd"))
    plugins = Plugins()
    assert plugins.load("storage", "dd").name == "dd"
    with pytest.raises(PluginLoadError, match=r"good 1\.0 offers .* 'cc', but no StorageSpec of that name"):
        plugins.load("storage", "cc")


def test_load_broken_module_fails_for_all_its_names(folder: Path) -> None:
    install(
        folder,
        "half",
        "[vault.storage.v1]\nee = loader_ee\n[vault.passphrase.v1]\nff = loader_ee\n",
        loader_ee="""
            @hookimpl
            def vault_storage_backends(surprise): return (storage("ee"),)
            @hookimpl
            def vault_passphrase_sources(): return (source("ff"),)
        """,
    )
    plugins = Plugins()
    for kind, name in (("storage", "ee"), ("passphrase", "ff"), ("storage", "ee")):
        with pytest.raises(PluginLoadError, match=r"half 1\.0 cannot be loaded: PluginValidationError"):
            plugins.load(kind, name)


def test_load_conflict_names_both_and_imports_neither(folder: Path) -> None:
    install(folder, "One_X", "[vault.storage.v1]\ngg = loader_gg\n", loader_gg="raise SystemExit")
    install(folder, "two", "[vault.storage.v1]\ngg = loader_gg\n")
    with pytest.raises(PluginConflict, match="storage backend 'gg' is offered by one-x and two"):
        Plugins().load("storage", "gg")
    assert "loader_gg" not in sys.modules


def test_load_distribution_installed_twice_is_a_conflict(folder: Path) -> None:
    install(folder, "Some.Plugin", "[vault.storage.v1]\nhh = loader_hh\n", loader_hh="raise SystemExit")
    install(folder, "some_plugin", "[vault.storage.v1]\nhh = loader_hh\n")
    with pytest.raises(PluginConflict) as caught:
        Plugins().load("storage", "hh")
    told = "storage backend 'hh' is offered by some-plugin, which is installed twice in one folder (1.0 and 1.0)"
    assert caught.value.message == told
    assert "loader_hh" not in sys.modules


@pytest.mark.parametrize(
    ("kind", "name", "option", "taken"),
    [
        ("storage", "passphrase", "source", "AWS_VAULT_PASSPHRASE_SOURCE"),
        ("session", "session", "cache", "AWS_VAULT_SESSION_CACHE"),
        ("mfa", "load", "plugins", "AWS_VAULT_LOAD_PLUGINS"),
        ("storage", "box", "passphrase", "AWS_VAULT_BOX_PASSPHRASE"),
        ("storage", "box", "passphrase-file", "AWS_VAULT_BOX_PASSPHRASE_FILE"),
    ],
)
def test_load_option_with_variable_of_awsv_is_refused(
    kind: str, name: str, option: str, taken: str, folder: Path
) -> None:
    hook, spec = _HOOKS[kind]
    more = {"session": ", parameters=dict"}.get(kind, "")
    source = f"""
        @hookimpl
        def {hook}(): return (
            {spec}(name={name!r}, summary="s", open=opener{more}, options=(Option(name={option!r}, help="h"),)),)
    """
    install(folder, "greedy", f"[vault.{kind}.v1]\n{name} = loader_greedy\n", loader_greedy=source)
    with pytest.raises(PluginLoadError) as caught:
        Plugins().load(kind, name)
    assert caught.value.message == (
        f"{KINDS[kind]} {name!r} from greedy 1.0 has an option {option!r}, and {taken} is awsv's own"
    )


@pytest.mark.parametrize(
    ("kind", "wrong", "told"),
    [
        ("storage", 'at_rest="core"', "its at_rest is not an AtRest"),  # or nobody would seal the keys
        ("storage", "at_rest=None, max_value='64'", "its at_rest is not an AtRest; its max_value is not a number"),
        ("storage", "capabilities=0", "its capabilities are not a Capability"),
        ("storage", "secret_variables=None", "its secret_variables are not a tuple of str"),
        ("passphrase", "options=[]", "its options are not a tuple of Option"),
        ("session", 'source="never"', "its source is not a SourceNeed"),
    ],
)
def test_load_spec_with_wrong_types_is_refused(kind: str, wrong: str, told: str, folder: Path) -> None:
    hook, spec = _HOOKS[kind]
    more = {"session": ", parameters=dict"}.get(kind, "")
    source = f"""
        @hookimpl
        def {hook}(): return ({spec}(name="odd", summary="s", open=opener{more}, {wrong}),)
    """
    install(folder, "sloppy", f"[vault.{kind}.v1]\nodd = loader_sloppy\n", loader_sloppy=source)
    with pytest.raises(PluginLoadError, match=f"from sloppy 1.0 has an invalid spec: {told}") as caught:
        Plugins().load(kind, "odd")
    assert caught.value.hint == "this is a bug of sloppy"


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("storage", "fiel", "did you mean 'file'[?]"),
        ("passphrase", "file", "available: .*env.*, prompt.*"),
        ("mfa", "zzz", "available: .*terminal.*"),
        ("session", "stss", "did you mean 'sts'[?]"),
        ("storage", "", "available: .*file.*"),
        ("storage", "vault-plugin-file-store", "available: .*file.*"),
    ],
)
def test_hint_for_unknown_name(kind: str, name: str, hint: str) -> None:
    with pytest.raises(PluginNotFound) as caught:
        Plugins().load(kind, name)
    assert caught.value.hint is not None
    assert re.fullmatch(hint, caught.value.hint)
    assert "install" not in caught.value.hint


@pytest.mark.parametrize(("kind", "name"), OURS)
def test_hint_for_own_plugin_is_install_command(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for scan in ("scan", "scan_slowly"):
        monkeypatch.setattr(loader, scan, lambda: (AvailablePlugin("mfa", "any", STANDARD[0], "1", "m"),))
    with pytest.raises(PluginNotFound) as caught:
        Plugins().load(kind, name)
    assert caught.value.hint == install_hint(OURS[kind, name])
    assert caught.value.hint.startswith(f"{sys.executable} -m pip install ")


def test_hint_without_plugins_installs_the_standard_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "scan_slowly", tuple)
    monkeypatch.setattr(loader, "scan", tuple)
    with pytest.raises(PluginNotFound) as caught:
        Plugins().load("storage", "file")
    assert caught.value.hint == install_hint(*STANDARD)
    assert {OURS[kind, name] for kind, name in DEFAULT} == set(STANDARD)


DEFAULT = (
    ("storage", "file"),
    ("passphrase", "env"),
    ("passphrase", "prompt"),
    ("mfa", "terminal"),
    ("session", "sts"),
)
"""What the default settings name."""
NAMES = st.lists(st.sampled_from(["aa", "bb", "cc", "one", "One", "two", "three", "loader_aa", "", "*", "vault"]))


@settings(deadline=None)
@given(allowed=NAMES)
def test_load_plugins_variable_only_restricts(allowed: list[str]) -> None:
    """Whatever is named: what loads with it loads without it, and what is ambiguous stays ambiguous."""
    offers = (
        AvailablePlugin("storage", "aa", "one", "1", "m"),
        AvailablePlugin("storage", "bb", "one", "1", "m"),
        AvailablePlugin("storage", "bb", "two", "1", "n"),
        AvailablePlugin("storage", "cc", "three", "1", "o"),
    )
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for scan in ("scan", "scan_slowly"):  # to look through the real environment takes a tenth of a second
            patch.setattr(loader, scan, tuple)
        for name in ("aa", "bb", "cc", "dd"):
            plugins = Plugins(allowed)
            plugins._offers = offers
            try:
                found[name] = plugins._find("storage", name).distribution
            except PluginError as error:
                found[name] = type(error).__name__
    named = {normalise(name) for name in allowed}
    assert found == {
        "aa": "one" if named & {"aa", "one"} else "PluginDisabled",
        "bb": "PluginConflict",
        "cc": "three" if named & {"cc", "three"} else "PluginDisabled",
        "dd": "PluginNotFound",
    }


@pytest.mark.parametrize(("api", "hint"), [(2, "update vault-core, or install an older pp"), (0, "update pp")])
def test_load_plugin_for_other_api_version_is_refused(api: int, hint: str) -> None:
    plugins = Plugins()
    plugins._offers = (AvailablePlugin("storage", "aa", "pp", "3", "m", api),)
    with pytest.raises(PluginLoadError, match=rf"'aa' from pp 3 needs vault\.storage\.v{api}; .* v1") as caught:
        plugins.load("storage", "aa")
    assert caught.value.hint == hint


def blamed(raised: BaseException) -> VaultError:
    with pytest.raises(VaultError) as caught, Plugins().attributed_to("storage", "file"):
        raise raised
    return caught.value


class Odd(BaseException):
    """What some frameworks make of a cancellation."""


@pytest.mark.parametrize("raised", [ValueError("canary"), SystemExit(0), Odd("canary"), GeneratorExit(), MemoryError()])
def test_attributed_to_reports_unexpected_exception_as_bug(raised: BaseException) -> None:
    error = blamed(raised)
    assert type(error) is VaultError
    assert error.message == f"storage backend 'file' failed with {type(raised).__name__}"
    assert error.hint == "this is a bug of vault-plugin-file; --debug shows where"


def test_attributed_to_passes_vault_error() -> None:
    raised = ConfigError("mine")
    assert blamed(raised) is raised


def test_attributed_to_passes_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), Plugins().attributed_to("storage", "file"):
        raise KeyboardInterrupt
