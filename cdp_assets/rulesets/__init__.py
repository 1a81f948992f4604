"""Rulesets side by side: other answers to who is who, which nothing follows."""
