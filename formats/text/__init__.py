"""Text from outside: charsets, deep JSON, regular expressions, host names, URLs, sizes and durations. No I/O."""
