"""What a result shows, described once: drawn by the terminal, the page and JSON alike."""
