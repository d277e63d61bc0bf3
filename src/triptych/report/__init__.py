"""The report of a run: one self-contained HTML page and its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.report.write import write_report

__all__ = ["write_report"]


def __getattr__(
    name: str,
) -> Any:  # matplotlib is loaded when a report is written, not when one is thought of
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from triptych.report.write import write_report

    return write_report
