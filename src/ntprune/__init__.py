"""ntprune."""
