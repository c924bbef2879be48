"""What a comparison works on: exchanges in short, the options, and the differences it finds."""
