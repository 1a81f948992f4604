"""How records get in: declarations, inbox, landing zone, fold and quarantine."""
