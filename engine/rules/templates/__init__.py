"""Templates of rule files: compiled, sandboxed, and bounded in what they may cost."""
