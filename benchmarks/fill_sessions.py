"""Keep live sessions of roles, without a call for each: ``python fill_sessions.py NUMBER``, by an install's interpreter
in the environment that its awsv gets. They are as AWS makes them: a token of 640 characters, and 30 hours.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from vault_core.api import Credentials, Secret
from vault_core.sessions.cache import Cache, Session
from vault_core.settings import Settings

HOURS = 30


def main() -> None:
    cache, now = Cache(Settings()), datetime.now(UTC)
    cache._sweep = lambda *_: None  # type: ignore[method-assign]  # in older versions it opens all others each time
    for number in range(int(sys.argv[1])):
        credentials = Credentials(
            access_key_id=f"ASIA{number:016}",
            secret_access_key=Secret("s" * 40),
            session_token=Secret("t" * 640),
            expires=now + timedelta(hours=HOURS),
        )
        profiles = ("work", f"role-{number}")
        cache.put(f"session {number}", Session(credentials, now, "sts.AssumeRole", profiles), seconds=HOURS * 3600)


if __name__ == "__main__":
    main()
