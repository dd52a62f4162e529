"""Chapter 6: objects, and what is unfamiliar, found in components of images."""
