"""What the library answers with."""
