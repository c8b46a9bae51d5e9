"""Of a project with a LightningCLI."""
