"""Read inputs and labels, write a model and its predictions; the door to Ray Train."""
