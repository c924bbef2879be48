"""What is computed from a session: statistics, verification, tables for notebooks."""
