"""HAR 1.2: sessions written as HAR files, also during a recording, and HAR files read as sessions.

HAR has no fields for most of what a record holds, and a copy of every record would double the file. So the records of
an exchange are stored as what its entry does not already express:

* **entry**: the standard form of one exchange (`entry.py`). Names with `_` are custom fields, ours or common ones.
* **predicted record**: what the entry alone lets us expect of one of the exchange's records (`predicted.py`)
* **delta**: the difference between a predicted record and the real one (`delta.py`). Prediction + delta = the record,
  byte for byte. A wrong prediction costs space, never data. An edit of the entry changes the records that are read.
* **rank**: the usual place of a key in a record, so that deltas rarely have to list the order of keys
* **orphan**: a record without an entry, because it belongs to no exchange (or to none that is open)
* **at**: the place of a record in the session, stored where its `seq` is another number

For example, the entry of `GET /x` with the records 1 (`request`) and 4 (`response`); "…" stands for what is left out:

    {"startedDateTime": "2026-01-01T00:00:00.000Z", "time": 4,
     "request": {"method": "GET", "url": "http://a.test/x", …},        →  predicted: method, url, path, headers, body …
     "response": {"status": 200, "statusText": "OK", …},               →  predicted: statusCode, headers, body …
     "_connectionId": "c1", "_tags": ["a"],                            →  predicted: connectionId and tags of both
     "_mockrec": {"id": "r1", "events": [                              →  the deltas, one for each record
       {"type": "request",  "set": {"seq": 1, "timestamp": "…"}, "within": {"timingEvents": {"set": {…}}}},
       {"type": "response", "set": {"seq": 4, "timestamp": "…"}, "without": ["matchedRuleId"]}]}}

Besides `events`, `_mockrec` may have: `"pending": true` (the exchange has not ended; during the recording, its entry
is provisional, rewritten each time, and holds `records`, whole, instead of `events`), `"more": true` (the exchange is
long and continues in a later entry with the same id) and `others` (orphans up to here; the rest are in
`log._mockrec.events`). A delta may have `take`: the record is a chunk with this many bytes of the body.

Writing: lines → `assemble.py` → `entry.py`, `delta.py` → `sink.py` → `atomic_file.py`.
Reading: bytes → `split.py` → `reading.py`, which restores our own records (`delta.py`) or makes records of other tools'
entries (`imported.py`) → `spool.py` → lines in order.
"""
