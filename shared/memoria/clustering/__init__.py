"""Faces into people: vectors to groups, groups to people that stay."""

from memoria.clustering.grouping import group_faces
from memoria.clustering.hdbscan import hdbscan_labels

__all__ = ["group_faces", "hdbscan_labels"]
