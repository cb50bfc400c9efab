"""Facts from outside: who could be asked, and the policy and flags in force. May import contract, core, config, log."""
