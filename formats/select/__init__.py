"""What a filter expression selects from sessions of any format."""
