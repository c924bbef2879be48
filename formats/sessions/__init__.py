"""Sessions read and written whole, whatever their format."""
