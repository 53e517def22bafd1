"""docs/routes.md, from the registry of a running instance. With `--check` nothing is written."""

import asyncio
import sys
import tempfile
from pathlib import Path

from fedishare.app import running
from fedishare.config import load, prepare, write_initial
from fedishare.http.routes import Route

PAGE = Path(__file__).resolve().parent.parent / "docs" / "routes.md"
HEAD = """# Routes

Every route, with what it declares; a route that does not declare it cannot be written. Made by `python -m tools.routes`
from the registry; `fedishare routes` prints the same.

* access: **open** to anybody, **app** before sign-in, **token** with one of the scopes, **peer** with a partner's
  signature, **media** (a file: token, session, ticket in the link or a partner's signature; 404 for all others),
  **inbox** (a signed delivery, verified there), **operator** from `metrics.allowed_networks`.
* audience: what decides about what is shown: **metadata** (nothing of people's posts), **own** (the viewer's),
  **can-see** (the one audience decision), **nothing** (it takes something in).

| method | path | access | scopes | rate | audience |
|---|---|---|---|---|---|
"""


async def registered() -> tuple[Route, ...]:
    """The routes of an instance made for this."""
    with tempfile.TemporaryDirectory() as folder:
        made = write_initial(Path(folder), "routes.localhost:8000", "http://routes.localhost:8000")
        async with running(prepare(load(made.config, environ={})), work=False) as server:
            return server.router.routes


def page(routes: tuple[Route, ...]) -> str:
    """The whole document."""
    rows = sorted((r.path, r.method, r.access, " ".join(r.scopes), r.rate, r.audience) for r in routes)
    return HEAD + "".join(f"| {m} | `{p}` | {a} | {s} | {rate} | {au} |\n" for p, m, a, s, rate, au in rows)


def main() -> int:
    """Write the page, or compare it."""
    text = page(asyncio.run(registered()))
    if "--check" in sys.argv[1:]:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
            print("docs/routes.md is stale; run `python -m tools.routes`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
