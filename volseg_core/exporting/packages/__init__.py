"""Packages of an exported file for other tools."""
