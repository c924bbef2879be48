"""Templates of rule files: compiled, sandboxed, and limited in time and memory."""
