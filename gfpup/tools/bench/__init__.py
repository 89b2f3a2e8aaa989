"""`gfpup bench`: how fast a method is here, compared with another implementation and with the machine's limit."""
