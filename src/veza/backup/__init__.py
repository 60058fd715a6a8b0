"""Backups, and what is like them: the rows and files of one moment, kept, brought back, checked, moved."""
