"""Never run: the SQL is written by :mod:`veza.core.db.migrate` without an environment of its own."""
