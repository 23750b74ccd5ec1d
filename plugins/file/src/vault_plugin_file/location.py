"""Where the store is: the name of its file, and its folder."""

from pathlib import Path

from vault_core.api import ConfigError, Context

STORE_NAME = "store.vlt"


def folder_text(text: str) -> str:
    if not text.startswith(("/", "~/")) and text != "~":
        raise ValueError("not an absolute path (/…) or a path in your home (~/…)")
    return text


def folder(ctx: Context) -> Path:
    """The folder of the store: option ``dir``, else the user's data folder.

    :raises ConfigError: the path starts with ``~``, and the user's home is unknown.
    """
    chosen = ctx.options.get("dir")
    if chosen is None:
        return ctx.data_dir
    text = str(chosen)
    home = ctx.environ.get("HOME")
    if home and (text == "~" or text.startswith("~/")):
        return Path(home + text[1:])
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"the store's folder {text} is in your home, and there is no HOME", hint="set HOME") from None
