"""One file or folder per stage of the story; stages are strangers to one another."""
