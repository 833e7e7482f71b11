"""What `gdrun landscape` draws, and what it prints."""
