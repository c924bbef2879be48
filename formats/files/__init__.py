"""Session files as bytes and lines: written in whole units, compressed, rotated, locked, read again."""
