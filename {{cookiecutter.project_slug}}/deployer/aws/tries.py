"""How often and for how long a client tries, and what it takes for an answer. Pure but for its imports."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from botocore.exceptions import IncompleteReadError

# Most calls: botocore tries again for some seconds, and an invocation may take its time.
PATIENT = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 5},
    tcp_keepalive=True,
)
# Moving the alias: one try. A call that hangs must not outlive the 7.5 s that a cancelled job has left to
# give the traffic back, and whoever moves the alias reads it again before each further try.
BRISK = PATIENT.merge(
    Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 1})
)


def refuse_what_is_no_answer(**event: Any) -> None:
    """Raise IncompleteReadError for an answer that was cut short, or is a page for people.

    botocore takes both for an empty answer: no alarm exists, no call was made. A handler of `before-parse`.
    Source: it does not compare a body with its length, https://github.com/boto/botocore/pull/3125
    """
    if event["operation_model"].http.get("method") == "HEAD":
        return  # its length is that of the body a GET would have
    headers, body = event["response_dict"]["headers"], event["response_dict"]["body"]
    promised = headers.get("content-length", "")
    if not isinstance(body, bytes) or not promised.isdigit() or "content-encoding" in headers:
        return
    is_page = event["response_dict"]["status_code"] < 300 and headers.get("content-type", "").startswith(
        "text/html"
    )
    if len(body) < int(promised) or is_page:
        raise IncompleteReadError(actual_bytes=0 if is_page else len(body), expected_bytes=int(promised))
