"""Tools for work on the project: the drawing of its architecture, the check of its prose."""
