"""C and its typed boundary; the README of this folder has a line for each file."""
