"""What cheating sellers try, what is raced with what, and what is asked for a thousand times."""
