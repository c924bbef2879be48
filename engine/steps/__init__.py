"""What a chosen rule does, one file a family of steps."""
