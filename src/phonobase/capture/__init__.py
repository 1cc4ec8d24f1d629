"""Where sound comes from: devices, files, a pipe, a test tone."""
