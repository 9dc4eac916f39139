"""Advice on data: what a volume and its labels are like, what is wrong with them, and a recipe that fits them."""
