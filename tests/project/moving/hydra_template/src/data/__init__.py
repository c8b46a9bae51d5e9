"""Of a project that was written from a template."""
