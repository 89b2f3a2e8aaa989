"""Which method to take, by published rules or by the user's own runs."""
