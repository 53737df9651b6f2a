"""Generator of the sample catalogue: pictures, sound, captions and true shot boundaries."""
