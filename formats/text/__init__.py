"""Forms of text: charsets, JSON of any depth, regular expressions, host names, URLs, sizes and durations. No I/O."""
