"""Keys: the table of actions, the keymap, and the queue that hands keys to screens in order."""
