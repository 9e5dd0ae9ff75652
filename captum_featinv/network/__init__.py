"""What is asked of a network: which layers it has, and what they put out."""
