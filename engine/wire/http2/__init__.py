"""HTTP/2 (RFC 9113), both ends: bytes to parts and back."""
