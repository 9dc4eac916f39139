"""The rules of each kind of component, one module a kind: ``RULES`` and ``examine(trial, found)``."""
