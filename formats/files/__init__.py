"""Session files as bytes and lines: writing, compression, rotation, locks, reading."""
