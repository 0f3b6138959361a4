"""How fast pg_net's batches let jobs through: ``python -m tests.pacing``."""
