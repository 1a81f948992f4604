"""Segments: a condition over the profile, and who entered and left."""
