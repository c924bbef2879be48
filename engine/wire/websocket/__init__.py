"""WebSocket (RFC 6455, RFC 7692): handshake, frames, messages."""
