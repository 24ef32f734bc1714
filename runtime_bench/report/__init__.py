"""Results as one HTML file: `contents` says what is in it, `figures` are its plots, `page` puts it together."""
