"""The first component of a new package, one file for each kind. Read as text; the names in them are replaced."""
