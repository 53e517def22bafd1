"""The few pages that a server without a web client needs: quick, calm, without scripts, under a strict policy."""

from __future__ import annotations

from html import escape

from fedishare.http.call import Answer, Call

STYLE_PATH = "/style.css"
_HTML = b"text/html; charset=utf-8"
_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
)
STYLE = b"""
:root { color-scheme: light dark; --ink: #1c2733; --paper: #f5f7f9; --card: #fff; --line: #d5dce3; --go: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --paper: #12171c; --card: #1b2229; --line: #36414c;
  --go: #6ea8e8; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(26rem, calc(100vw - 2rem)); background: var(--card); border: 1px solid var(--line);
  border-radius: 0.75rem; padding: 1.75rem; }
h1 { font-size: 1.25rem; margin: 0 0 0.75rem; }
p { margin: 0 0 1rem; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
label { display: block; margin-bottom: 0.75rem; font-weight: 600; }
input { display: block; width: 100%; margin-top: 0.25rem; padding: 0.6rem; font: inherit; color: inherit;
  background: var(--paper); border: 1px solid var(--line); border-radius: 0.4rem; }
.row { display: flex; gap: 0.75rem; margin-top: 1.25rem; }
button { flex: 1; padding: 0.65rem; font: inherit; font-weight: 600; border-radius: 0.4rem; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit; }
button.go { background: var(--go); border-color: var(--go); color: var(--card); }
.wrong { border-left: 4px solid #c0392b; padding-left: 0.75rem; }
code { display: block; padding: 0.75rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: 0.4rem; overflow-wrap: anywhere; user-select: all; }
article { border-top: 1px solid var(--line); padding-top: 1rem; overflow-wrap: anywhere; }
a { color: var(--go); }
summary { cursor: pointer; margin-bottom: 0.75rem; }
.invisible { font-size: 0; }
.ellipsis::after { content: "..."; }
.quiet { opacity: 0.75; font-size: 0.9rem; }
"""


def page(title: str, body: str, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """A page. ``body`` is HTML: whatever comes from outside must be escaped by then."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="{STYLE_PATH}"></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Answer(
        text.encode(), status=status, media_type=_HTML, headers=(_POLICY, (b"cache-control", b"no-store"), *headers)
    )


async def style(call: Call) -> Answer:
    """``GET /style.css``"""
    return Answer(STYLE, media_type=b"text/css; charset=utf-8", headers=((b"cache-control", b"public, max-age=3600"),))
