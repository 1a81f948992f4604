"""Destinations: where changes go. One module per kind, behind one protocol."""
