"""Pair exchanges, and compare their parts: one module for each kind of value (headers, cookies, JSON, XML, …)."""
