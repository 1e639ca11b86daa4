"""Backups: what of a data folder goes into one, how it is written, and how it is read again."""
