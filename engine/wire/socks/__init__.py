"""SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), both ends."""
