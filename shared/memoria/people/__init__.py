"""Groups of faces to people who stay the same people from one run to the next."""
