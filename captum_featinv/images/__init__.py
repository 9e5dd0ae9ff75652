"""Pictures: files, arrays, sheets, and the two spaces of an image."""
