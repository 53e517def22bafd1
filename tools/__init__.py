"""Small programs that keep the project's promises about itself; `make` runs them, the server never does."""
