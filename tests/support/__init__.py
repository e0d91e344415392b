"""What the end-to-end tests stand on; see tests/README.md."""
