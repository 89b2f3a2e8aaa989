"""What this computer is, and what a process uses of it."""
