"""What joins an input to an archive."""
