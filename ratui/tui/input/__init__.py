"""Keys: the table of actions, the keymap, and the queue that sends keys to the screens in their order."""
