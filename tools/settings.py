"""docs/settings.md, from the descriptions beside the settings themselves. With `--check` nothing is written."""

import json
import sys
from pathlib import Path

from fedishare.config import all_settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
HEAD = """# Settings

Every key of `instance.toml`. Made by `python -m tools.settings` from the code; `fedishare init` writes a file with the
same text as comments.
"""


def page() -> str:
    """The whole document."""
    parts = [HEAD]
    section = ""
    for setting in all_settings():
        here, _, _ = setting.path.rpartition(".")
        if here != section:
            section = here
            parts.append(f"## `{here}`\n")
        default = "required" if setting.required else f"default `{json.dumps(setting.default, default=str)}`"
        if setting.default is None and not setting.required:
            default = "none by default"
        parts.append(f"### `{setting.path}`\n\n{setting.description} ({default})\n")
    return "\n".join(parts).rstrip() + "\n"


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv[1:]:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
            print("docs/settings.md is stale; run `python -m tools.settings`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
