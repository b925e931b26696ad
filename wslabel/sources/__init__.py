"""Turn a source (a folder, a table) into the manifest of images, and a uri into bytes."""
