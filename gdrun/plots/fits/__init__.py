"""What networks have learned of their data, and the data → the pictures called `fit`."""
