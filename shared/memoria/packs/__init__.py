"""Model files: fetched and checked, rewritten when an image is built, opened as sessions."""
