"""Pairs of numbers as one number each, so that they can be sorted."""

import numpy as np

from memoria.arrays import Index


def unordered_pairs(one: Index, other: Index, count: int) -> tuple[Index, Index]:
    """Pairs of two numbers below ``count``, the lower first, every pair once, sorted."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.divmod(distinct((low * count + high)[low != high]), count)


def distinct(keys: Index) -> Index:
    """Each number once, sorted. (m,) -> (k,). (np.unique hashes them, which takes longer.)"""
    ordered = np.sort(keys)
    fresh = np.append(True, ordered[1:] != ordered[:-1])[: len(keys)]
    return np.compress(fresh, ordered)
