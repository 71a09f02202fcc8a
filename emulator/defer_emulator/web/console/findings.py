"""What `defer check` found, with the lines it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from defer_emulator.project.diagnostics import Diagnostic, source_line
from defer_emulator.web.console.site import Site

MAX_EXCERPT = 160  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    diagnostic: Diagnostic
    excerpt: str | None  # the line of the source


def findings_shown(site: Site, file: str | None = None) -> Sequence[Finding] | None:
    """The findings, of one file if it is given; None while the check has not ended."""
    found = site.operations.live.findings
    if found is None:
        return None
    return [_shown(site, one) for one in found if file in (None, one.file)]


def _shown(site: Site, diagnostic: Diagnostic) -> Finding:
    root = site.settings.root
    text = None if root is None else source_line(root, diagnostic)
    line = (text or "").strip()[:MAX_EXCERPT]
    return Finding(diagnostic=diagnostic, excerpt=f"{diagnostic.line}  {line}" if line else None)
