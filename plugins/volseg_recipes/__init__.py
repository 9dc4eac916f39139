"""The recipes that volseg brings."""
