"""A whole event season through every fault we can inject: ``python -m tests.chaos``."""
