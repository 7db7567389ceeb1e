"""Parts of a page that refresh themselves, and pages that show nothing to a cache.

The browser polls the page's own address with `HX-Request: true` and the tag it last got in
`HX-PTag`; while nothing changed the answer is 304 without a body.  The tag is a hash of what the
part shows, without the moment it was made at: ages are refreshed by the browser.
"""

import hashlib
from dataclasses import replace
from typing import Any

from flask import Response, make_response, render_template, request

TAG_CHARACTERS = 24


def is_part_wanted() -> bool:
    """Whether the page's live part alone is asked for."""
    return request.headers.get("HX-Request") == "true"


def live_answer(whole: str, part: str, *, page: Any, shell: Any) -> Response:
    """Return the whole page, or the live part, or 304 when the browser has this very part.

    whole, part  templates;  page  a view model with `now_ms`;  shell  returns the Shell
    """
    if not is_part_wanted():
        return make_response(render_template(whole, page=page, shell=shell()))
    still = render_template(part, page=replace(page, now_ms=0))
    tag = hashlib.sha256(still.encode()).hexdigest()[:TAG_CHARACTERS]
    if request.headers.get("HX-PTag") == tag:
        answer = Response(status=304)
    else:
        answer = make_response(render_template(part, page=page))
    answer.headers["HX-PTag"] = tag
    return answer
