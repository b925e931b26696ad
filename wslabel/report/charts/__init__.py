"""One kind of chart per file: its data, and how it is drawn as SVG."""
