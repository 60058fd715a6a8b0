"""`veza demo`: a small world to look at, with people, and music that is computed and belongs to nobody."""
