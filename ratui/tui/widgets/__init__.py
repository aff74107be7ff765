"""Parts of screens. None of them decides what may be entered."""
