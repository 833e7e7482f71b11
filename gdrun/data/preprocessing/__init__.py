"""What is learned of the training rows and done to all others: fills, categories, scales."""
