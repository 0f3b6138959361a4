"""The database, through its SQL functions alone (docs/sql-surface.md), and signed URLs."""
