"""Who asks, and what they may: one table of doors, the tokens and keys that open them."""
