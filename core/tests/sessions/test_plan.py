"""Plans: what the cache key of a step covers, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vault_core.api import Credentials, SessionProvider, SessionRequest, SessionSpec, SourceNeed
from vault_core.awsconfig.shared import AwsConfig
from vault_core.plugins.host import Host
from vault_core.plugins.loader import Plugins
from vault_core.sessions.generations import Generations
from vault_core.sessions.plan import KeyStep, Plan, Planner, SessionStep, profiles_of
from vault_core.sessions.profiles import Profiles, SessionOptions
from vault_core.settings import Settings
from vault_core.storage.vault import Store

MFA = "arn:aws:iam::123456789012:mfa/alice"
ROLE = "arn:aws:iam::123456789012:role/R"
CONFIG = f"""
[profile user]
mfa_serial = {MFA}
[profile plain]
[profile one]
role_arn = {ROLE}
source_profile = user
mfa_serial = {MFA}
[profile two]
role_arn = {ROLE}
source_profile = user
mfa_serial = {MFA}
[profile behind]
role_arn = {ROLE}
source_profile = one
"""


STORES = """
[store.elsewhere]
backend = "file"
dir = "/elsewhere"
[store.other]
backend = "file"
dir = "/other"
"""


class Plans:
    """Makes plans of a config below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.generations = Generations(root / "generations")
        self.planner: Planner

    def __call__(
        self,
        name: str,
        *,
        config: str = CONFIG,
        environ: Mapping[str, str] | None = None,
        plugins: Plugins | None = None,
        **flags: Any,
    ) -> Plan:
        variables = {"HOME": str(self.root), **(environ or {})}
        self.root.joinpath(".config/awsv").mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.joinpath(".config/awsv/config.toml").write_text(STORES)
        host = Host(Settings(variables), plugins or Plugins())
        profiles = Profiles(AwsConfig.parse(config.encode(), b"", Path("c"), Path("d")), variables)
        self.planner = Planner(host, profiles, self.generations, SessionOptions(**flags))
        return self.planner.plan(name)

    def key(self, name: str, **options: Any) -> str:
        """The cache key of the last step."""
        return self(name, **options).last.cache_key


def store_of(plan: Plan) -> Store:
    """The store of the plan's stored key."""
    key = plan.steps()[0]
    assert isinstance(key, KeyStep)
    return key.store


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    return Plans(tmp_path)


def test_the_same_profile_has_the_same_key(plans: Plans) -> None:
    assert plans.key("one") == plans.key("one")


def test_profiles_that_come_to_the_same_share_a_session(plans: Plans) -> None:
    assert plans.key("one") == plans.key("two")


def test_roles_share_the_session_of_their_user(plans: Plans) -> None:
    token = plans("user").last
    for name in ("one", "two"):
        last = plans(name).last
        assert isinstance(last, SessionStep)
        assert last.source is not None
        assert last.source.cache_key == token.cache_key


@pytest.mark.parametrize("region", ["eu-west-1", None])
def test_the_childs_region_changes_nothing(plans: Plans, region: str | None) -> None:
    plan = plans("one", region=region)
    assert plan.last.cache_key == plans.key("one")
    assert plan.region == region


@pytest.mark.parametrize(
    "options",
    [
        {"config": CONFIG.replace("role/R", "role/S")},
        {"config": CONFIG.replace("mfa/alice", "mfa/bob")},
        {"config": CONFIG.replace("[profile one]", "[profile one]\nregion = eu-west-1")},
        {"config": CONFIG.replace("[profile one]", "[profile one]\nexternal_id = x12")},
        {"config": CONFIG.replace("[profile one]", "[profile one]\nduration_seconds = 900")},
        {"config": CONFIG.replace("[profile user]", "[profile user]\nregion = eu-west-1")},
        {"config": CONFIG.replace("[profile user]", "[profile user]\nvault_backend = elsewhere")},
        {"config": CONFIG.replace("source_profile = user", "source_profile = plain")},
        {"environ": {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}},
        {"environ": {"AWS_REGION": "eu-west-1"}},
        {"environ": {"AWS_VAULT_FILE_DIR": "/elsewhere"}},
        {"environ": {"XDG_DATA_HOME": "/elsewhere"}},
        {"environ": {"AWS_ROLE_SESSION_NAME": "me"}},
        {"environ": {"AWS_CHAINED_SESSION_TOKEN_TTL": "9h"}},
        {"environ": {"AWS_ASSUME_ROLE_TTL": "20m"}},
        {"duration": 1800},
        {"no_session": True},
    ],
    ids=lambda options: json.dumps(options)[-60:],
)
def test_what_can_change_the_session_changes_the_key(plans: Plans, options: dict[str, Any]) -> None:
    assert plans.key("one", **options) != plans.key("one")


def test_a_new_generation_of_the_stored_key_changes_every_step(plans: Plans) -> None:
    before = [step.cache_key for step in plans("behind").steps()]
    user = store_of(plans("behind"))
    plans.generations.advance(user.identity, "plain")
    assert [step.cache_key for step in plans("behind").steps()] == before
    plans.generations.advance(user.identity, "user")
    after = [step.cache_key for step in plans("behind").steps()]
    assert not set(before) & set(after)
    assert len(set(after)) == 4


SHARED = (
    CONFIG
    + f"""
[profile same]
role_arn = {ROLE}
source_profile = user
mfa_serial = {MFA}
[profile passes]
credential_process = awsv exec -j user
[profile behind-passes]
role_arn = {ROLE}
source_profile = passes
[profile bare]
role_arn = {ROLE}
source_profile = plain
"""
)


def test_profiles_that_mean_the_same_share_their_sessions(plans: Plans) -> None:
    assert plans.key("one", config=SHARED) == plans.key("same", config=SHARED)
    assert plans.key("passes", config=SHARED) == plans.key("user", config=SHARED)
    plans.generations.advance_all()
    assert plans.key("one", config=SHARED) == plans.key("same", config=SHARED)
    assert plans.key("passes", config=SHARED) == plans.key("user", config=SHARED)


@pytest.mark.parametrize(
    ("cleared", "stale"),
    [
        ("one", {"one", "behind"}),
        ("same", {"same"}),
        ("passes", {"passes", "behind-passes"}),
        ("user", {"user", "one", "same", "two", "behind", "passes", "behind-passes"}),
        ("plain", {"plain", "bare"}),
        ("nobody", set()),
    ],
)
@pytest.mark.parametrize("flags", [{}, {"duration": 1800}, {"no_session": True}], ids=str)
def test_what_is_cleared_for_a_profile_is_stale_for_it_and_what_stands_on_it(
    plans: Plans, cleared: str, stale: set[str], flags: dict[str, Any]
) -> None:
    """With every flag, and whoever made the session: nothing needs to be read or removed for that."""
    names = ("user", "plain", "one", "two", "behind", "same", "passes", "behind-passes", "bare")
    before = {name: plans.key(name, config=SHARED, **flags) for name in names}
    plans.generations.advance_profile(cleared)
    after = {name: plans.key(name, config=SHARED, **flags) for name in names}
    assert {name for name in names if before[name] != after[name]} == stale


@pytest.mark.parametrize("need", [SourceNeed.NEVER, SourceNeed.REQUIRED], ids=str)
def test_what_is_cleared_for_a_profile_of_another_provider_is_stale_for_it_alone(
    plans: Plans, need: SourceNeed
) -> None:
    """Also where the provider works on nothing, so that no step below it says so."""
    config = CONFIG + "[profile foreign]\nvault_session_provider = odd\nsource_profile = user\n"
    plugins = Plugins()
    plugins._loaded["session", "odd"] = SessionSpec(
        name="odd", summary="s", open=lambda _: Unused(), parameters=lambda *_: {}, source=need
    )
    before = {name: plans.key(name, config=config, plugins=plugins) for name in ("foreign", "user")}
    plans.generations.advance_profile("foreign")
    after = {name: plans.key(name, config=config, plugins=plugins) for name in ("foreign", "user")}
    assert {name for name in before if before[name] != after[name]} == {"foreign"}


class Unused(SessionProvider):
    """Of a provider that is only planned with."""

    def issue(self, request: SessionRequest) -> Credentials:
        raise NotImplementedError


def test_one_code_still_serves_every_role_when_one_of_them_was_cleared(plans: Plans) -> None:
    plans.generations.advance_profile("one")
    tokens = {plans(name, config=SHARED).steps()[1].cache_key for name in ("user", "one", "two", "same")}
    assert len(tokens) == 1


def test_everything_cleared_is_stale(plans: Plans) -> None:
    names = ("user", "plain", "one", "behind", "passes", "bare")
    before = {step.cache_key for name in names for step in plans(name, config=SHARED).steps()}
    plans.generations.advance_all()
    after = {step.cache_key for name in names for step in plans(name, config=SHARED).steps()}
    assert not before & after


def test_a_damaged_generation_is_another_one(plans: Plans) -> None:
    plans.generations.advance(store_of(plans("one")).identity, "user")
    [file] = plans.generations._folder.iterdir()
    before = plans.key("one")
    file.write_bytes(b"\xff\xfe")
    assert plans.key("one") != before


def test_steps_and_profiles_in_order(plans: Plans) -> None:
    plan = plans("behind")
    kinds = [step.name if isinstance(step, KeyStep) else step.parameters["action"] for step in plan.steps()]
    assert kinds == ["user", "GetSessionToken", "AssumeRole", "AssumeRole"]
    assert profiles_of(plan.last) == ("user", "one", "behind")


def test_who_named_the_stored_key(plans: Plans) -> None:
    [key, *_] = plans("one").steps()
    assert isinstance(key, KeyStep)
    assert key.named_by == "profile 'one' (c:7)"
    [key, *_] = plans("plain").steps()
    assert isinstance(key, KeyStep)
    assert key.named_by == ""


def test_a_store_of_the_key_is_the_key_profiles_own(plans: Plans) -> None:
    """The store is named where the key is, not by the role behind it."""
    config = CONFIG.replace("[profile one]", "[profile one]\nvault_backend = other")
    plan = plans("one", config=config.replace("[profile user]", "[profile user]\nvault_backend = elsewhere"))
    assert store_of(plan).place == "/elsewhere/store.vlt"


def test_repr_of_a_plan_shows_no_value_of_a_profile(plans: Plans) -> None:
    """A program prints its plan; a key of the profile, or an option of a provider, may be secret."""
    config = f"[profile one]\nrole_arn = {ROLE}\nsource_profile = user\nvault_odd_pin = canary\n"
    config += "aws_secret_access_key = canary\n"
    plan = plans("one", config=config, environ={"AWS_VAULT_ODD_PIN": "canary"})
    assert "canary" in str(plan.chain[0].keys)
    assert "canary" not in repr(plan)
    assert "profile='one'" in repr(plan)
