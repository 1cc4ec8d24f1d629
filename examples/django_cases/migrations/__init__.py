"""The program's own migrations."""
