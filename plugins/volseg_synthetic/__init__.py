"""Generators of synthetic volumes."""
