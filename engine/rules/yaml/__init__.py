"""YAML nodes read into typed values, each problem with its line and column."""
