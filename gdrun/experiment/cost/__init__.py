"""What a command will cost: how long it takes, part by part, and how much it logs."""
