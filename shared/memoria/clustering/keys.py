"""Pairs of numbers as one number each, so that they can be sorted."""

import numpy as np

from memoria.arrays import Index


def distinct(keys: Index) -> Index:
    """Each number once, sorted. (m,) -> (k,). (np.unique hashes them, which takes longer.)"""
    ordered = np.sort(keys)
    fresh = np.append(True, ordered[1:] != ordered[:-1])[: len(keys)]
    return np.compress(fresh, ordered)
