"""One recording, from its first record to its last: settings, server, outputs, worker processes."""
