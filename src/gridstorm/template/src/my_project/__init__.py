"""The models and data of my_project."""
