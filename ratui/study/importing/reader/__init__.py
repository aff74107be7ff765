"""Read foreign files in a process of their own: their headers, and de-identified copies of their films."""
