"""Tables as files: CSV that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Sequence

from flask import Response

ACTIVE_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet; an apostrophe before it makes it text."""


def csv_answer(name: str, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> Response:
    """Return the rows as a file called `name`.csv; numbers stay numbers, text stays text."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    answer = Response(written.getvalue(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _cell(value: str | int) -> str | int:
    if isinstance(value, str) and value.startswith(ACTIVE_BEGINNINGS):
        return f"'{value}"
    return value
