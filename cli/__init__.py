"""Arguments in, exit code out: the command line of mockrec, and the only package that prints."""
