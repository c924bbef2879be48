"""Whole sessions of any format: opened, read record by record or in blocks, converted, and written."""
