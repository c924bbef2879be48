"""The control API: HTTP and JSON on a port of its own, by which a test suite controls a running recorder."""
