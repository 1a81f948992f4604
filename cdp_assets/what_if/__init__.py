"""What a ruleset or a model would change, before anything is published."""
