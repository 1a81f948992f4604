"""How good the published people are; nothing here takes part in resolving them."""
