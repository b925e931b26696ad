"""The project file: its typed whole, how it is read, and a template to start from."""
