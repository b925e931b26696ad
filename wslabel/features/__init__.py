"""Read images, write features: what one extractor saw in each image, once and forever."""
