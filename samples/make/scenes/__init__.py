"""The places the films are set in. Each function returns a `Scene`: a picture for every moment."""
