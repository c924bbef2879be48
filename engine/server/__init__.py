"""The server side: accepts connections, finds out what is spoken on each, and turns requests into exchanges."""
