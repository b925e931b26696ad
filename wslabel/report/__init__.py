"""What a run showed, as one HTML page that needs nothing else: counted arrays in, text out."""
