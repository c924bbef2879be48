"""Requests that mockrec itself sends to other servers."""
