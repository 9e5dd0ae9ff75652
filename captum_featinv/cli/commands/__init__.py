"""What the commands do: each `run` takes the options, writes files, and returns what is to be told."""
