"""Byte streams of every kind (TCP, TLS, the inside of an HTTP/2 stream) and the sockets below them. Knows no HTTP."""
