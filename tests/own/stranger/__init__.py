"""A package of somebody's own, which knows nothing of the project: modules and data of the usual kind."""
