"""Turns trace records into JSON, one object a line, for programs that read a trace.

```
{"event": "call", "tid": 1, …, "name": "close", "arguments": ["77"], "result": -1, "errno": "EBADF",
 "why": "the descriptor is not open"}
```

`pid`, `tid` and `time_ns` stand in each. Other events: `signal` (`name`, `code`), `gone` (a thread:
`exit_code`, or the `signal` that killed it) and `lost` (`records`). What does not apply is not
there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from adyton.observe import forms, records, scalars, trace

if TYPE_CHECKING:
    from adyton.observe.records import Record


def line(record: Record) -> str:
    """Write a record that is neither a crash nor a missing call."""
    head = {"pid": record.pid, "tid": record.tid, "time_ns": record.time_ns}
    return json.dumps(_body(record) | head) + "\n"


def summary(counts: trace.Counts) -> str:
    """Write what was counted: by the name of a call, most time first."""
    rows = {
        name: {"calls": row.calls, "errors": row.errors, "total_ns": row.total_ns}
        for name, row in counts.ordered()
    }
    return json.dumps(rows, indent=1) + "\n"


def _body(record: Record) -> dict[str, Any]:
    first, second, *_ = record.arguments
    if record.number == records.SIGNAL:
        code = scalars.signal_code(first, scalars.signed(second))
        return {"event": "signal", "name": scalars.signal_name(first), "code": code}
    if record.number == records.GONE:
        how = {"signal": scalars.signal_name(second)} if first else {"exit_code": second}
        return {"event": "gone", **how}
    if record.number == records.LOST:
        return {"event": "lost", "records": first}
    name, arguments, form = trace.parts(record)
    body: dict[str, Any] = {"event": "call", "name": name, "arguments": arguments}
    if -4095 <= record.result < 0:
        body |= {"result": -1, "errno": forms.errno_name(-record.result)}
    elif form != "none":
        body["result"] = record.result
    if record.why:
        body["why"] = record.why
    return body | {"duration_ns": record.duration_ns}
