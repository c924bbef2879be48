"""`python docs/generate [FOLDER]`: writes the pages of docs/reference, or those of another folder.

They are made of the code alone: the commands of typer, the tables of the rule language, the classes of the events, the
exit codes. What a page says of a thing is what the code says of it, so a description is changed there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import codes
import commands
import events
import index
import manpages
import rules
import secrets_page

from mockrec.engine.rules.language.load import json_schema

PAGES = {
    "rules.schema.json": lambda: json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n",
    "index.md": index.text,
    "commands.md": commands.text,
    "rules.md": rules.text,
    "events.md": events.text,
    "exit-codes.md": codes.text,
    "secrets.md": secrets_page.text,
}


def main(folder: Path) -> None:
    """Write all pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in PAGES.items():
        (folder / name).write_text(text(), encoding="utf-8")
    (folder / "man").mkdir(exist_ok=True)
    for name, page in manpages.pages().items():
        (folder / name).write_text(page, encoding="utf-8")


main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "reference")
