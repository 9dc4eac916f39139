"""What every new package holds. Read as text; the names in it are replaced."""
