"""Chaining: find response values that later requests use, and replace them with the values of new responses."""
