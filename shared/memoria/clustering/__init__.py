"""Vectors to groups: HDBSCAN, exactly, and the product's answer, its groups refined."""

from memoria.clustering.grouping import group_faces
from memoria.clustering.hdbscan import hdbscan_labels

__all__ = ["group_faces", "hdbscan_labels"]
