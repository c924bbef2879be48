"""Many sessions: found by prefix or pattern, queried, compacted and compared, on one machine or on a cluster."""
