"""How settled files hold rows: dense forms of one table each, decoded by the view that people read (`Contract.encoding`)."""
