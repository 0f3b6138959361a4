"""Faces into people: vectors to groups, groups to people that stay."""

from memoria.clustering.density import hdbscan_labels
from memoria.clustering.grouping import group_faces

__all__ = ["group_faces", "hdbscan_labels"]
