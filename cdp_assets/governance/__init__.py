"""Consent, and who may be contacted where."""
