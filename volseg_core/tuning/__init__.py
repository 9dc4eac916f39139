"""Searching recipe keys for the best score."""
