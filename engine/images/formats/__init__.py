"""What single kinds of picture files hold, chunk by chunk."""
