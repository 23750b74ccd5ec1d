"""What ``make bench`` measures: command lines, each in a home folder of a certain size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from homes import Home


@dataclass(frozen=True)
class Job:
    """A command line of awsv, as a whole process."""

    name: str
    words: tuple[str, ...]
    profiles: int = 10
    sessions: int = 0
    unlocked: bool = False
    """The environment has the passphrase."""
    delay: float = 0.0
    """Seconds that a call of AWS takes."""
    prepare: Callable[[Home], None] = lambda _: None
    """What has to be so before each run; not measured."""
    once: tuple[str, ...] = ()
    """A command line before the first run."""
    share: int = 1
    """It runs in one of so many rounds."""
    peer: tuple[str, ...] = ()
    """The command line of aws-vault for the same work."""


LIVE = ("exec", "-j", "work")
READY = ("ready", "role-?", *(f"role-{ten}?" for ten in range(1, 6)))
"""60 roles, all that 61 profiles have. A pattern with brackets would be looked for among the sessions, too."""

STARTS = (
    Job("--version", ("--version",), peer=("--version",)),
    Job("--help", ("--help",)),
    Job("list, 10 profiles, locked", ("list",)),
    Job("list, 200 profiles, 200 sessions, locked", ("list",), 200, 200),
    Job("list --json, 200 profiles, 200 sessions, locked", ("list", "--json"), 200, 200),
    Job("explain", ("explain", "role-1")),
    Job("exec -j, live session", LIVE, once=LIVE, peer=("exec", "--json", "work")),
    Job("export, live session", ("export", "work"), once=LIVE),
    Job("exec work -- true, live session", ("exec", "work", "--", "true"), once=LIVE, peer=("exec", "work", "true")),
    Job("exec -j, cold, AWS at once", LIVE, unlocked=True, prepare=Home.forget),
)

GROWTH = (
    *(
        Job(f"{' '.join(words)}, {profiles:,} profiles", words, profiles, once=LIVE, share=4)
        for words in (("list",), ("list", "--json"), ("explain", "work"), LIVE)
        for profiles in (200, 20_000)
    ),
    *(Job(f"list, 200 profiles, {sessions:,} sessions", ("list",), 200, sessions, share=4) for sessions in (0, 2_000)),
)

AT_200_MS = (
    Job("exec -j, cold, AWS at 200 ms", ("exec", "-j", "role-1"), 61, unlocked=True, delay=0.2, prepare=Home.forget),
    *(
        Job(f"ready of 60 roles, {n:,} sessions", READY, 61, n, True, 0.2, prepare=Home.forget, share=4)
        for n in (0, 2_000)
    ),
)
